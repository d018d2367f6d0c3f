/* The names of a policy, witnesses and groups, are nodes of a forest: each is a member of at most one
 * group, and is defined before it. So the nodes in the order of the file are sorted from the leaves
 * upward, and whatever is computed from members is computed in one pass, without recursion. */
#include "tlog/policy.h"

#include "tlog/promise.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "tlog/lines.h"

#include <assert.h>
#include <stdlib.h>

enum {
    NODES_MAX = 2 * POLICY_KEYS_MAX, /* witnesses and groups */
    POLICY_NAME_BYTES_MAX = 255,
    NONE = -1,
};

struct node {
    char *name;       /* owned */
    int witness;      /* position; NONE for a group */
    int parent;       /* the group it is a member of, or NONE */
    int first_member; /* of a group, in the order of its line */
    int next_member;  /* of the parent, or NONE */
    size_t needed;    /* k of a group's n members */
    size_t members;
};

struct policy {
    struct hash hash;
    struct buf text; /* owned */
    struct policy_log logs[POLICY_KEYS_MAX];
    size_t log_count;
    struct policy_witness witnesses[POLICY_KEYS_MAX];
    size_t witness_count;
    struct node nodes[NODES_MAX];
    size_t node_count;
    size_t group_count;
    bool has_quorum_line;
    int quorum; /* node, or NONE for "quorum none" */
    size_t f;
    size_t may_be_down;
};

void policy_free(struct policy *policy)
{
    if (policy == NULL) {
        return;
    }
    for (size_t i = 0; i < policy->log_count; i++) {
        mem_free(policy->logs[i].url);
    }
    for (size_t i = 0; i < policy->witness_count; i++) {
        mem_free(policy->witnesses[i].name);
        mem_free(policy->witnesses[i].url);
    }
    for (size_t i = 0; i < policy->node_count; i++) {
        mem_free(policy->nodes[i].name);
    }
    buf_clear(&policy->text);
    mem_free(policy);
}

/* -- parsing -- */

static char *copy(struct span text)
{
    char *out = mem_alloc(text.len + 1);
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return out;
}

/* Two keys are the same when their bytes are, whatever their names; and a note names a key by name
 * and ID, so these must not be shared either. */
static enum err_code check_new_key(const struct vkey *old, const struct vkey *new, struct err *err)
{
    if (span_is_equal(vkey_public(old), vkey_public(new))) {
        return err_set(err, E_MALFORMED, "the public key of %s is listed already, for %s",
                       new->name, old->name);
    }
    if (old->id == new->id && strcmp(old->name, new->name) == 0) {
        return err_set(err, E_MALFORMED, "another key with name %s and ID %08x is listed already",
                       new->name, new->id);
    }
    return E_OK;
}

static enum err_code parse_log(struct policy *policy, struct span line, struct err *err)
{
    struct vkey vkey;
    struct span url;
    enum err_code rc = lines_expect_key(&line, VKEY_LOG, &vkey, &url, err);
    for (size_t i = 0; rc == E_OK && i < policy->log_count; i++) {
        rc = check_new_key(&policy->logs[i].vkey, &vkey, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (policy->log_count == POLICY_KEYS_MAX) {
        return err_set(err, E_MALFORMED, "over %d logs", POLICY_KEYS_MAX);
    }
    policy->logs[policy->log_count++] =
        (struct policy_log){ vkey, url.len == 0 ? NULL : copy(url) };
    return E_OK;
}

static int find_node(const struct policy *policy, struct span name)
{
    for (size_t i = 0; i < policy->node_count; i++) {
        if (span_is_str(name, policy->nodes[i].name)) {
            return (int)i;
        }
    }
    return NONE;
}

/* Takes a name that is not in use. */
static enum err_code parse_new_name(const struct policy *policy, struct span *line,
                                    struct span *name, struct err *err)
{
    enum err_code rc = lines_expect_item(line, "the name", name, err);
    if (rc != E_OK) {
        return rc;
    }
    if (name->len > POLICY_NAME_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "a name of %zu bytes, at most %d are allowed", name->len,
                       POLICY_NAME_BYTES_MAX);
    }
    if (span_is_str(*name, "none")) {
        return err_set(err, E_MALFORMED, "the name \"none\" has a meaning of its own");
    }
    if (find_node(policy, *name) != NONE) {
        return err_set(err, E_MALFORMED, "the name \"%s\" is defined already",
                       lines_quote(*name).text);
    }
    return E_OK;
}

static struct node *add_node(struct policy *policy, struct span name)
{
    assert(policy->node_count < NODES_MAX);
    struct node *node = &policy->nodes[policy->node_count++];
    *node = (struct node){
        .name = copy(name),
        .witness = NONE,
        .parent = NONE,
        .first_member = NONE,
        .next_member = NONE,
    };
    return node;
}

static enum err_code parse_witness(struct policy *policy, struct span line, struct err *err)
{
    struct span name, url;
    struct vkey vkey;
    enum err_code rc = parse_new_name(policy, &line, &name, err);
    if (rc == E_OK) {
        rc = lines_expect_key(&line, VKEY_WITNESS, &vkey, &url, err);
    }
    for (size_t i = 0; rc == E_OK && i < policy->witness_count; i++) {
        rc = check_new_key(&policy->witnesses[i].vkey, &vkey, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (policy->witness_count == POLICY_KEYS_MAX) {
        return err_set(err, E_MALFORMED, "over %d witnesses", POLICY_KEYS_MAX);
    }
    add_node(policy, name)->witness = (int)policy->witness_count;
    policy->witnesses[policy->witness_count++] =
        (struct policy_witness){ copy(name), vkey, url.len == 0 ? NULL : copy(url) };
    return E_OK;
}

/* Finds a name that may become a member. */
static enum err_code parse_member(int *out, const struct policy *policy, struct span item,
                                  struct err *err)
{
    if (item.data[0] == '#' && find_node(policy, item) == NONE) {
        return err_set(err, E_MALFORMED, "a comment must stand on a line of its own");
    }
    if (span_is_str(item, "none")) {
        return err_set(err, E_MALFORMED, "\"none\" cannot be a member");
    }
    int member = find_node(policy, item);
    if (member == NONE) {
        return err_set(err, E_MALFORMED, "member \"%s\" is not defined on an earlier line",
                       lines_quote(item).text);
    }
    if (policy->nodes[member].parent != NONE) {
        return err_set(err, E_MALFORMED, "\"%s\" is a member already: once is all a name may be",
                       lines_quote(item).text);
    }
    *out = member;
    return E_OK;
}

/* The number that all, any or a decimal stands for. */
static enum err_code parse_needed(struct span rule, size_t members, size_t *needed, struct err *err)
{
    uint64_t value = span_is_str(rule, "all") ? members : 1;
    if (!span_is_str(rule, "all") && !span_is_str(rule, "any")) {
        if (decimal_parse(&value, rule, POLICY_KEYS_MAX, err) != E_OK) {
            return err_wrap(err, "\"%s\" is not all, any or a number", lines_quote(rule).text);
        }
        if (value < 1 || value > members) {
            return err_set(err, E_MALFORMED, "%zu members: the number needed is 1 to %zu, not %zu",
                           members, members, (size_t)value);
        }
    }
    *needed = (size_t)value;
    return E_OK;
}

static enum err_code parse_group(struct policy *policy, struct span line, struct err *err)
{
    struct span name, rule, item;
    enum err_code rc = parse_new_name(policy, &line, &name, err);
    if (rc == E_OK) {
        rc = lines_expect_item(&line, "all, any or a number", &rule, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (policy->group_count == POLICY_KEYS_MAX) {
        return err_set(err, E_MALFORMED, "over %d groups", POLICY_KEYS_MAX);
    }
    int group = (int)policy->node_count, first = NONE, last = NONE;
    size_t members = 0, needed = 0;
    while (lines_take_item(&line, &item)) {
        int member = NONE;
        rc = parse_member(&member, policy, item, err);
        if (rc != E_OK) {
            return rc;
        }
        *(last == NONE ? &first : &policy->nodes[last].next_member) = member;
        policy->nodes[member].parent = group;
        last = member;
        members++;
    }
    if (members == 0) {
        return err_set(err, E_MALFORMED, "a group has at least one member");
    }
    rc = parse_needed(rule, members, &needed, err);
    if (rc != E_OK) {
        return rc;
    }
    struct node *node = add_node(policy, name);
    node->first_member = first;
    node->needed = needed;
    node->members = members;
    policy->group_count++;
    return E_OK;
}

static enum err_code parse_quorum(struct policy *policy, struct span line, struct err *err)
{
    struct span name;
    if (policy->has_quorum_line) {
        return err_set(err, E_MALFORMED, "a second quorum line");
    }
    enum err_code rc = lines_expect_item(&line, "the name", &name, err);
    if (rc == E_OK) {
        rc = lines_expect_end(&line, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    policy->quorum = find_node(policy, name);
    if (policy->quorum == NONE && !span_is_str(name, "none")) {
        return err_set(err, E_MALFORMED,
                       "\"%s\" is neither none nor a name defined on an earlier line",
                       lines_quote(name).text);
    }
    policy->has_quorum_line = true;
    return E_OK;
}

static enum err_code parse_line(void *ctx, struct span keyword, struct span line, struct err *err)
{
    static const struct {
        const char *keyword;
        enum err_code (*parse)(struct policy *policy, struct span line, struct err *err);
    } lines[] = {
        { "log", parse_log },
        { "witness", parse_witness },
        { "group", parse_group },
        { "quorum", parse_quorum },
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (span_is_str(keyword, lines[i].keyword)) {
            if (lines[i].parse(ctx, line, err) != E_OK) {
                return err_wrap(err, "%s", lines[i].keyword);
            }
            return E_OK;
        }
    }
    return err_set(err, E_MALFORMED, "\"%s\" is not log, witness, group or quorum",
                   lines_quote(keyword).text);
}

static enum err_code parse_lines(struct policy *policy, struct span in, struct err *err)
{
    enum err_code rc = lines_parse(in, parse_line, policy, err);
    if (rc != E_OK) {
        return err_wrap(err, "policy");
    }
    if (!policy->has_quorum_line) {
        return err_set(err, E_MALFORMED,
                       "policy: no quorum line (\"quorum none\" asks for no witnesses)");
    }
    return E_OK;
}

/* -- what sets of witnesses do -- */

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

/* The sum of the `count` smallest costs of the members of `group`. */
static size_t cheapest(const struct policy *policy, size_t group, const size_t *costs, size_t count)
{
    size_t of_members[NODES_MAX], members = 0, sum = 0;
    for (int i = policy->nodes[group].first_member; i != NONE; i = policy->nodes[i].next_member) {
        of_members[members++] = costs[i];
    }
    assert(members == policy->nodes[group].members);
    assert(count <= members);
    qsort(of_members, members, sizeof of_members[0], compare_sizes);
    for (size_t i = 0; i < count; i++) {
        sum += of_members[i];
    }
    return sum;
}

/* -- what a policy withstands: counted in witnesses, of which one may have several keys (Ed25519 and ML-DSA-44) -- */

static const char *name_of_witness(const struct policy *policy, int witness)
{
    return policy->witnesses[witness].vkey.name;
}

/* For each node the witness, by one of its keys, that all keys below it are of; NONE when they are of several. */
static void find_holders(const struct policy *policy, int holders[static NODES_MAX])
{
    for (size_t i = 0; i < policy->node_count; i++) {
        const struct node *node = &policy->nodes[i];
        holders[i] = node->witness != NONE ? node->witness : holders[node->first_member];
        for (int k = node->first_member; k != NONE && holders[i] != NONE;
             k = policy->nodes[k].next_member) {
            bool is_same = holders[k] != NONE && strcmp(name_of_witness(policy, holders[k]),
                                                        name_of_witness(policy, holders[i])) == 0;
            holders[i] = is_same ? holders[i] : NONE;
        }
    }
}

/* A place of a witness: a node below the quorum whose keys are all its own, not inside another such. */
static bool is_place(const struct policy *policy, const int holders[static NODES_MAX], int node)
{
    int parent = policy->nodes[node].parent;
    if (holders[node] == NONE || (node != policy->quorum && parent == NONE) ||
        (node != policy->quorum && holders[parent] != NONE)) {
        return false;
    }
    while (node != policy->quorum && node != NONE) {
        node = policy->nodes[node].parent;
    }
    return node != NONE;
}

/* The places of the witness that has most. A set of places has at most so many times fewer witnesses. */
static size_t places_of_one(const struct policy *policy, const int holders[static NODES_MAX])
{
    size_t counts[POLICY_KEYS_MAX] = { 0 }, most = 1;
    for (int i = 0; i <= policy->quorum; i++) {
        if (!is_place(policy, holders, i)) {
            continue;
        }
        size_t first = 0; /* of the keys with the name */
        while (strcmp(name_of_witness(policy, (int)first), name_of_witness(policy, holders[i])) !=
               0) {
            first++;
        }
        counts[first]++;
        most = counts[first] > most ? counts[first] : most;
    }
    return most;
}

static size_t witnesses_of(size_t places, size_t places_each)
{
    return (places + places_each - 1) / places_each;
}

/* Two sets of k of n members share at least 2k - n of them. Since no witness is below two members,
 * two quorums of the group share no honest witness when so many members, and the cheapest will do,
 * let theirs share none. */
static size_t compute_f(const struct policy *policy)
{
    size_t costs[NODES_MAX];
    int holders[NODES_MAX];
    find_holders(policy, holders);
    for (size_t i = 0; i <= (size_t)policy->quorum; i++) {
        const struct node *node = &policy->nodes[i];
        size_t shared = 2 * node->needed > node->members ? 2 * node->needed - node->members : 0;
        costs[i] = holders[i] != NONE ? 1 : cheapest(policy, i, costs, shared);
    }
    return witnesses_of(costs[policy->quorum], places_of_one(policy, holders));
}

/* A group is blocked when n - k + 1 of its members are. */
static size_t smallest_blocking_set(const struct policy *policy)
{
    size_t costs[NODES_MAX];
    int holders[NODES_MAX];
    find_holders(policy, holders);
    for (size_t i = 0; i <= (size_t)policy->quorum; i++) {
        const struct node *node = &policy->nodes[i];
        costs[i] =
            holders[i] != NONE ? 1 : cheapest(policy, i, costs, node->members - node->needed + 1);
    }
    return witnesses_of(costs[policy->quorum], places_of_one(policy, holders));
}

enum err_code policy_parse(struct policy **out, struct span bytes, struct err *err)
{
    if (bytes.len > POLICY_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "policy: %zu bytes, at most %d are read", bytes.len,
                       POLICY_BYTES_MAX);
    }
    struct policy *policy = NEW(struct policy);
    policy->quorum = NONE;
    enum err_code rc = parse_lines(policy, bytes, err);
    if (rc != E_OK) {
        policy_free(policy);
        return rc;
    }
    policy->hash = sha256(bytes);
    buf_init(&policy->text, bytes.len);
    buf_put(&policy->text, bytes);
    policy->may_be_down = policy->witness_count;
    if (policy->quorum != NONE) {
        policy->f = compute_f(policy);
        policy->may_be_down = smallest_blocking_set(policy) - 1;
    }
    *out = policy;
    return E_OK;
}

bool policy_is_met(const struct policy *policy, const struct policy_set *present)
{
    if (policy->quorum == NONE) {
        return true;
    }
    size_t met_members[NODES_MAX] = { 0 };
    for (size_t i = 0;; i++) {
        const struct node *node = &policy->nodes[i];
        bool is_met =
            node->witness != NONE ? present->has[node->witness] : met_members[i] >= node->needed;
        if (i == (size_t)policy->quorum) {
            return is_met;
        }
        if (is_met && node->parent != NONE) {
            met_members[node->parent]++;
        }
    }
}

/* A witness's time, for sorting. */
struct seen {
    uint64_t time;
    size_t witness;
};

static int compare_seen(const void *a, const void *b)
{
    uint64_t x = ((const struct seen *)a)->time, y = ((const struct seen *)b)->time;
    return x < y ? -1 : x > y;
}

/* A quorum stays one when witnesses are added: so the earliest that make one end it, or the latest. */
static uint64_t time_of_quorum(const struct policy *policy, const struct policy_verdict *verdict,
                               bool from_latest)
{
    struct seen seen[POLICY_KEYS_MAX];
    size_t count = 0;
    if (policy->quorum == NONE) {
        return 0;
    }
    for (size_t i = 0; i < policy->witness_count; i++) {
        if (verdict->cosigned.has[i]) {
            seen[count++] = (struct seen){ verdict->timestamps[i], i };
        }
    }
    qsort(seen, count, sizeof seen[0], compare_seen);
    struct policy_set present = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct seen *next = &seen[from_latest ? count - 1 - i : i];
        present.has[next->witness] = true;
        if (policy_is_met(policy, &present)) {
            return next->time;
        }
    }
    return 0;
}

uint64_t policy_no_later_than(const struct policy *policy, const struct policy_verdict *verdict)
{
    return time_of_quorum(policy, verdict, false);
}

uint64_t policy_sequenced_after(const struct policy *policy, const struct policy_verdict *verdict)
{
    return time_of_quorum(policy, verdict, true);
}

bool policy_is_blocking(const struct policy *policy, const struct policy_set *set)
{
    struct policy_set others;
    for (size_t i = 0; i < POLICY_KEYS_MAX; i++) {
        others.has[i] = !set->has[i];
    }
    return !policy_is_met(policy, &others);
}

/* -- what is in it -- */

const struct hash *policy_hash(const struct policy *policy)
{
    return &policy->hash;
}

struct span policy_text(const struct policy *policy)
{
    return buf_span(&policy->text);
}

size_t policy_log_count(const struct policy *policy)
{
    return policy->log_count;
}

const struct policy_log *policy_log_at(const struct policy *policy, size_t i)
{
    assert(i < policy->log_count);
    return &policy->logs[i];
}

const struct policy_log *policy_log_by_origin(const struct policy *policy, const char *origin)
{
    const struct policy_log *found = NULL;
    for (size_t i = 0; i < policy->log_count; i++) {
        const struct policy_log *log = &policy->logs[i];
        bool is_better = found == NULL || (found->vkey.type == SIGNATURE_ML_DSA_44 &&
                                           log->vkey.type != SIGNATURE_ML_DSA_44);
        if (strcmp(log->vkey.name, origin) == 0 && is_better) {
            found = log;
        }
    }
    return found;
}

const struct vkey *policy_promise_key(const struct policy *policy, const char *origin)
{
    for (size_t i = 0; i < policy->log_count; i++) {
        if (promise_key_is_of(&policy->logs[i].vkey, origin)) {
            return &policy->logs[i].vkey;
        }
    }
    return NULL;
}

bool policy_log_is_promise_key(const struct policy *policy, size_t i)
{
    for (size_t k = 0; k < policy->log_count; k++) {
        if (promise_key_is_of(&policy->logs[i].vkey, policy->logs[k].vkey.name)) {
            return true;
        }
    }
    return false;
}

size_t policy_witness_count(const struct policy *policy)
{
    return policy->witness_count;
}

const struct policy_witness *policy_witness_at(const struct policy *policy, size_t i)
{
    assert(i < policy->witness_count);
    return &policy->witnesses[i];
}

bool policy_has_quorum(const struct policy *policy)
{
    return policy->quorum != NONE;
}

size_t policy_f(const struct policy *policy)
{
    return policy->f;
}

size_t policy_may_be_down(const struct policy *policy)
{
    return policy->may_be_down;
}

/* Names are any bytes: what is not printable text is escaped. */
static void put_name(struct buf *out, const char *name)
{
    struct span text = span_of_str(name);
    if (origin_is_valid(text)) {
        buf_put(out, text);
    } else {
        ascii_put_escaped(out, text, POLICY_NAME_BYTES_MAX);
    }
}

/* Walks down to the first member, on to the next one and up from the last. Groups may nest 256 deep,
 * so this is a loop. */
void policy_put_rule(struct buf *out, const struct policy *policy)
{
    const struct node *nodes = policy->nodes;
    if (policy->quorum == NONE) {
        buf_put_str(out, "none");
        return;
    }
    for (int at = policy->quorum;;) {
        if (nodes[at].witness == NONE) {
            buf_putf(out, "%zu of (", nodes[at].needed);
            at = nodes[at].first_member;
            continue;
        }
        put_name(out, nodes[at].name);
        while (at != policy->quorum && nodes[at].next_member == NONE) {
            buf_put_u8(out, ')');
            at = nodes[at].parent;
        }
        if (at == policy->quorum) {
            return;
        }
        buf_put_str(out, ", ");
        at = nodes[at].next_member;
    }
}

/* -- checkpoints -- */

/* Verifies the log's line. More than one listed log may have the origin; any of them will do. */
static enum err_code verify_log(const struct policy *policy, const struct note *note,
                                struct policy_verdict *verdict, struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    const struct policy_log *logs[POLICY_KEYS_MAX];
    size_t count = 0, verified_count;
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    for (size_t i = 0; i < policy->log_count; i++) {
        if (strcmp(policy->logs[i].vkey.name, verdict->checkpoint.origin) == 0) {
            logs[count] = &policy->logs[i];
            keys[count++] = &policy->logs[i].vkey;
        }
    }
    if (count == 0) {
        return err_set(err, E_NOT_FOUND, "no log of the policy has the origin \"%s\"",
                       lines_quote(span_of_str(verdict->checkpoint.origin)).text);
    }
    enum err_code rc = note_verify(note, keys, count, verified, &verified_count, err);
    if (rc == E_OK) {
        verdict->log = logs[verified[0].key];
    }
    return rc;
}

static void verify_witnesses(const struct policy *policy, const struct note *note,
                             struct policy_verdict *verdict)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count;
    for (size_t i = 0; i < policy->witness_count; i++) {
        keys[i] = &policy->witnesses[i].vkey;
    }
    note_verify_each(note, keys, policy->witness_count, verified, &count, &verdict->bad_signatures);
    for (size_t i = 0; i < count; i++) {
        verdict->cosigned.has[verified[i].key] = true;
        verdict->timestamps[verified[i].key] = verified[i].timestamp;
    }
    for (size_t i = 0; i < policy->witness_count; i++) {
        verdict->unchecked.has[i] = note_is_unchecked(note, keys[i]);
    }
}

enum err_code policy_open_checkpoint(const struct policy *policy, struct policy_verdict *out,
                                     struct span note_bytes, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, note_bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    struct policy_verdict verdict = { 0 };
    rc = checkpoint_parse(&verdict.checkpoint, note.text, err);
    if (rc == E_OK) {
        rc = verify_log(policy, &note, &verdict, err);
    }
    if (rc == E_OK) {
        verify_witnesses(policy, &note, &verdict);
        verdict.is_met = policy_is_met(policy, &verdict.cosigned);
        *out = verdict;
    }
    note_clear(&note);
    return rc;
}
