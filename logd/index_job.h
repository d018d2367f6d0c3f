/* index_job.h -- new entries on their way to the deduplication index. Owned by whoever holds it; freed with mem_free.
 */
#ifndef LOGD_INDEX_JOB_H
#define LOGD_INDEX_JOB_H

#include "logd/entry_facts.h"
#include "store/index.h"

struct index_job {
    struct index_job *next;
    uint64_t first;
    size_t count;
    struct index_facts *facts; /* of each, in the same allocation; NULL: schema = opaque */
    struct hash leaves[];
};
/* Room for so many entries; the count is 0. */
struct index_job *index_job_new(uint64_t first, size_t count_max, bool has_facts);
/* Requires room; `facts` is NULL unless the job has them. */
void index_job_add(struct index_job *job, const struct hash *leaf, const struct entry_facts *facts);

/* Of a job that has the leaves of a level-0 tile and facts, none of them filled in: reads these from the bundle below.
 * E_CORRUPT when it does not hash to the tile; job->count is how far it does. */
MUST_USE enum err_code index_job_read_facts(struct index_job *job, struct span bundle,
                                            struct err *err);

/* Several jobs, which follow each other, as one. Takes them over. */
struct index_job *index_job_join(struct index_job *jobs);

#endif
