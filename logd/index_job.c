#include "logd/index_job.h"

#include "base/alloc.h"
#include "tlog/bundle.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <stdalign.h>

struct index_job *index_job_new(uint64_t first, size_t count_max, bool has_facts)
{
    size_t each = sizeof(struct hash) + (has_facts ? sizeof(struct index_facts) : 0);
    struct index_job *job = mem_alloc(sizeof *job + count_max * each);
    *job = (struct index_job){ .first = first };
    static_assert(alignof(struct index_facts) == 1, "facts may stand anywhere");
    job->facts = has_facts ? (struct index_facts *)(job->leaves + count_max) : NULL;
    return job;
}

void index_job_add(struct index_job *job, const struct hash *leaf, const struct entry_facts *facts)
{
    job->leaves[job->count] = *leaf;
    if (job->facts != NULL) {
        job->facts[job->count] = (struct index_facts){ .has_tag = facts->has_tag,
                                                       .is_registration = facts->is_registration,
                                                       .tag = facts->tag };
    }
    job->count++;
}

/* What the entries of a bundle are, if these are the entries that the level-0 tile says: a tag that was
 * read from damaged bytes would be missed, or refused, for ever. */
enum err_code index_job_read_facts(struct index_job *job, struct span bundle, struct err *err)
{
    const struct hash *leaves = (const struct hash *)job->leaves;
    struct span entry;
    while (job->count < TILE_WIDTH && bundle_take_entry(&bundle, &entry)) {
        struct hash leaf = merkle_leaf_hash(entry);
        if (!hash_is_equal(&leaf, &leaves[job->count])) {
            break;
        }
        struct entry_facts facts = entry_facts_read(entry);
        index_job_add(job, &leaf, &facts);
    }
    if (job->count < TILE_WIDTH || bundle.len > 0) {
        return err_set(err, E_CORRUPT, "the bundle of entry %llu does not hash to its tile",
                       (unsigned long long)(job->first + job->count));
    }
    return E_OK;
}

struct index_job *index_job_join(struct index_job *jobs)
{
    if (jobs->next == NULL) {
        return jobs;
    }
    size_t count = 0;
    for (const struct index_job *job = jobs; job != NULL; job = job->next) {
        count += job->count;
    }
    struct index_job *joined = index_job_new(jobs->first, count, jobs->facts != NULL);
    while (jobs != NULL) {
        struct index_job *next = jobs->next;
        memcpy(joined->leaves + joined->count, jobs->leaves, jobs->count * sizeof jobs->leaves[0]);
        if (jobs->facts != NULL && jobs->count > 0) {
            memcpy(joined->facts + joined->count, jobs->facts, jobs->count * sizeof jobs->facts[0]);
        }
        joined->count += jobs->count;
        mem_free(jobs);
        jobs = next;
    }
    return joined;
}
