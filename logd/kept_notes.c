#include "logd/kept_notes.h"

#include "base/alloc.h"

void kept_notes_init(struct kept_notes *notes, size_t witness_count)
{
    *notes = (struct kept_notes){ .witness_count = witness_count };
}

static void free_note(const struct kept_notes *notes, struct kept_note *note)
{
    for (size_t i = 0; i < notes->witness_count; i++) {
        mem_free(note->lines[i].text);
    }
    mem_free(note->lines);
    published_tree_release(note->tree);
    mem_free(note);
}

void kept_notes_clear(struct kept_notes *notes)
{
    while (notes->largest != NULL) {
        struct kept_note *note = notes->largest;
        notes->largest = note->next;
        free_note(notes, note);
    }
}

static uint64_t size_of(const struct kept_note *note)
{
    return note->tree->checkpoint.size;
}

struct kept_note *kept_notes_find(const struct kept_notes *notes, uint64_t size)
{
    struct kept_note *note = notes->largest;
    while (note != NULL && size_of(note) > size) {
        note = note->next;
    }
    return note != NULL && size_of(note) == size ? note : NULL;
}

static void drop_bundle(struct kept_note *note)
{
    struct published_tree *without = published_tree_without_bundle(note->tree);
    published_tree_release(note->tree);
    note->tree = without;
}

struct kept_note *kept_notes_add(struct kept_notes *notes, struct published_tree *tree)
{
    struct kept_note *known = kept_notes_find(notes, tree->checkpoint.size);
    if (known != NULL) {
        published_tree_release(known->tree);
        known->tree = tree;
        return known;
    }
    struct kept_note **at = &notes->largest;
    while (*at != NULL && size_of(*at) > tree->checkpoint.size) {
        at = &(*at)->next;
    }
    struct kept_note *note = NEW(struct kept_note);
    note->tree = tree;
    note->is_unsaved = true;
    note->lines = mem_calloc(notes->witness_count + 1, sizeof *note->lines);
    note->next = *at;
    *at = note;
    struct kept_note *smaller = at == &notes->largest ? note->next : note;
    if (smaller != NULL) {
        drop_bundle(smaller);
    }
    return note;
}

void kept_notes_sweep(struct kept_notes *notes, const struct round *round)
{
    struct kept_note **at = &notes->largest;
    while (*at != NULL) {
        struct kept_note *note = *at;
        if (round_has_note(round, size_of(note))) {
            at = &note->next;
        } else {
            *at = note->next;
            free_note(notes, note);
        }
    }
}

enum kept_news kept_note_add_line(struct kept_note *note, const struct cosign_line *line)
{
    struct kept_line *kept = &note->lines[line->witness];
    if (line->timestamp <= kept->timestamp) {
        return KEPT_KNOWN;
    }
    enum kept_news news = kept->timestamp == 0 ? KEPT_NEW : KEPT_NEWER;
    note->is_unsaved = true;
    mem_free(kept->text);
    kept->timestamp = line->timestamp;
    kept->text = mem_alloc(line->len + 1);
    memcpy(kept->text, line->text, line->len);
    kept->text[line->len] = 0;
    return news;
}

struct policy_set kept_note_cosigned(const struct kept_notes *notes, const struct kept_note *note)
{
    struct policy_set set = { .has = { false } };
    for (size_t i = 0; i < notes->witness_count; i++) {
        set.has[i] = note->lines[i].timestamp != 0;
    }
    return set;
}

void kept_note_put(struct buf *out, const struct kept_notes *notes, const struct kept_note *note)
{
    buf_put(out, http_body_span(note->tree->note));
    for (size_t i = 0; i < notes->witness_count; i++) {
        if (note->lines[i].text != NULL) {
            buf_put_str(out, note->lines[i].text);
        }
    }
}
