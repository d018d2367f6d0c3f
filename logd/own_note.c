#include "logd/own_note.h"

enum err_code own_note_compare(enum own_note_verdict *verdict, struct checkpoint *checkpoint,
                               const struct own_tree *tree, struct span note, struct err *err)
{
    if (checkpoint_open(checkpoint, note, tree->log, tree->log->name, err) != E_OK) {
        *verdict = OWN_NOTE_FOREIGN;
        return E_OK;
    }
    if (checkpoint->size > tree->size) {
        *verdict = checkpoint->size > tree->durable ? OWN_NOTE_CONTRADICTS : OWN_NOTE_AHEAD;
        return E_OK;
    }
    struct hash root;
    enum err_code rc = merkle_root(&root, &tree->source, checkpoint->size, err);
    if (rc == E_OK) {
        bool is_same = hash_is_equal(&root, &checkpoint->root);
        *verdict = is_same ? OWN_NOTE_AGREES : OWN_NOTE_CONTRADICTS;
    }
    return rc;
}
