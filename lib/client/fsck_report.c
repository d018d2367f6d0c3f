#include "base/alloc.h"
#include "base/file.h"
#include "client/fsck_parts.h"
#include "store/tile_source.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *fsck_problem_text(enum fsck_problem problem)
{
    static const char *const texts[] = {
        [FSCK_MISSING] = "missing",
        [FSCK_MALFORMED] = "malformed",
        [FSCK_UNREADABLE] = "unreadable",
        [FSCK_WRONG] = "wrong",
        [FSCK_ROOT] = "root",
    };
    return texts[problem];
}

struct fsck_finding fsck_finding_make(const struct tile_path *path, const struct fsck_file *file,
                                      const struct hash *truth, const struct hash *found)
{
    unsigned shift = TILE_HEIGHT * path->id.level; /* entries below one hash, as a power of two */
    uint64_t first = path->id.index * TILE_WIDTH;
    struct fsck_finding finding = {
        .problem = file->is_there ? FSCK_WRONG : file->problem,
        .order = first << shift,
    };
    snprintf(finding.path, sizeof finding.path, "%s", tile_path_text(path).text);
    if (!file->is_there) {
        memcpy(finding.detail, file->detail, sizeof finding.detail);
    }
    for (size_t i = 0; truth != NULL && found != NULL && i < path->width; i++) {
        if (!hash_is_equal(&truth[i], &found[i])) {
            finding.has_entry = true;
            finding.entry = (first + i) << shift;
            finding.has_hashes = true;
            finding.expected = truth[i];
            finding.found = found[i];
            break;
        }
    }
    return finding;
}

/* By first entry; of the same, entries before hashes ("tile/entries" behind "tile/0"). */
static int compare(const struct fsck_finding *a, const struct fsck_finding *b)
{
    uint64_t at_a = a->has_entry ? a->entry : a->order;
    uint64_t at_b = b->has_entry ? b->entry : b->order;
    if (at_a != at_b) {
        return at_a < at_b ? -1 : 1;
    }
    return -strcmp(a->path, b->path);
}

void fsck_report_add(struct fsck_report *report, const struct fsck_finding *finding)
{
    report->bad_count++;
    report->repaired_count += finding->is_repaired;
    if (report->findings == NULL) {
        report->findings = mem_calloc(FSCK_FINDINGS_MAX, sizeof *report->findings);
    }
    size_t at = report->finding_count;
    while (at > 0 && compare(finding, &report->findings[at - 1]) < 0) {
        at--;
    }
    if (at < FSCK_FINDINGS_MAX) {
        size_t kept = report->finding_count < FSCK_FINDINGS_MAX ? report->finding_count
                                                                : FSCK_FINDINGS_MAX - 1;
        memmove(&report->findings[at + 1], &report->findings[at],
                (kept - at) * sizeof report->findings[0]);
        report->findings[at] = *finding;
        report->finding_count = kept + 1;
    }
}

void fsck_add_finding(struct fsck *fsck, const struct fsck_finding *finding)
{
    pthread_mutex_lock(&fsck->lock);
    fsck_report_add(fsck->report, finding);
    pthread_mutex_unlock(&fsck->lock);
}

void fsck_add_note(struct fsck *fsck, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        abort();
    }
    pthread_mutex_lock(&fsck->lock);
    struct fsck_report *report = fsck->report;
    if (report->note_count < FSCK_NOTES_MAX) {
        report->notes[report->note_count] = text;
        text = NULL;
    }
    report->note_count++;
    pthread_mutex_unlock(&fsck->lock);
    free(text);
}

void fsck_report_clear(struct fsck_report *report)
{
    for (size_t i = 0; i < FSCK_NOTES_MAX; i++) {
        free(report->notes[i]);
    }
    mem_free(report->findings);
    *report = (struct fsck_report){ 0 };
}

void fsck_repair_file(struct fsck *fsck, const struct tile_path *path, struct span bytes,
                      struct fsck_finding *finding)
{
    assert(fsck->is_directory);
    char file[PATH_MAX];
    char directory[PATH_MAX];
    snprintf(file, sizeof file, "%s/%s", fsck->options->log->target, tile_path_text(path).text);
    snprintf(directory, sizeof directory, "%s", file);
    *strrchr(directory, '/') = '\0';
    struct err err;
    if (file_make_directory(directory, 0755, &err) != E_OK ||
        file_replace(file, 0644, bytes, &err) != E_OK) {
        snprintf(finding->detail, sizeof finding->detail, "could not be written: %.160s", err.msg);
        return;
    }
    finding->is_repaired = true;
}
