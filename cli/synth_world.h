/* synth_world.h -- the fictional province: its courts, who submits, officers, institutions, parties.
 *
 * Nobody in it exists: the province character is one that no court has, all ids are of region 99, which is not
 * assigned, persons are called by a word for "test". Everything follows from the seed: a party is its number.
 * Pure. Any thread, once it is made.
 */
#ifndef CLI_SYNTH_WORLD_H
#define CLI_SYNTH_WORLD_H

#include "base/buf.h"
#include "base/crypto.h"
#include "cli/synth_random.h"
#include "record/entry_tag.h"

enum {
    SYNTH_INTERMEDIATE = 20,
    SYNTH_BASIC = 180,
    SYNTH_COURTS = 1 + SYNTH_INTERMEDIATE + SYNTH_BASIC,
    SYNTH_BANKS = 40,
    SYNTH_REGISTRIES = SYNTH_INTERMEDIATE + 2, /* land; and vehicles, securities */
    SYNTH_INSTITUTIONS = SYNTH_BANKS + SYNTH_REGISTRIES,

    /* Who submits, by number: the courts, three that serve all of them, and the banks, on a log of their own. */
    SYNTH_SERVICE = SYNTH_COURTS, /* of documents */
    SYNTH_FILES,                  /* case management */
    SYNTH_SUPERVISION,            /* the procuratorate */
    SYNTH_SUBMITTERS,             /* of the courts' log */
    SYNTH_BANK_FIRST = SYNTH_SUBMITTERS,
    SYNTH_EVERYBODY = SYNTH_BANK_FIRST + SYNTH_BANKS,

    SYNTH_CODE_MAX = 16,
    SYNTH_NAME_MAX = 32,
    SYNTH_ID_CHARS = 18,
    SYNTH_SEALED_PER_MILLE = 330,
};

struct synth_court {
    char code[SYNTH_CODE_MAX]; /* such as 0101 behind the province's character */
    uint32_t weight_end;       /* of all courts up to this one */
};

struct synth_submitter {
    char file[SYNTH_NAME_MAX];        /* "ce0101" */
    char name[REGISTRATION_NAME_MAX]; /* "ce0101.court.example" */
    unsigned role;
    struct signing_key *key; /* owned */
    struct ed25519_public public;
    struct submitter_id id;
};

struct synth_world {
    uint64_t seed;
    /* May be changed before it is used: of the blocks that may be sealed; all cases in one prefecture, one bank. */
    unsigned sealed_per_mille;
    bool is_prefecture;
    struct synth_court courts[SYNTH_COURTS];
    struct synth_submitter submitters[SYNTH_EVERYBODY];
    char institutions[SYNTH_INSTITUTIONS][SYNTH_ID_CHARS + 1]; /* credit codes; banks first */
};

struct synth_world *synth_world_new(uint64_t seed);
void synth_world_free(struct synth_world *world); /* NULL is fine */

/* Big courts have more cases: Zipf with exponent 0.8, within their level. The prefecture is that of the biggest
 * intermediate court, with the nine basic ones below it. */
size_t synth_world_pick_court(const struct synth_world *world, struct synth_random *random);
/* 1, 2, 3: high, intermediate, basic. */
unsigned synth_world_court_level(size_t court);
size_t synth_world_banks(const struct synth_world *world); /* that are asked */
size_t synth_world_officers(size_t court);

/* SHA-256 of the seed, a purpose and two numbers: keys and salts. */
struct hash synth_world_secret(const struct synth_world *world, const char *purpose, uint64_t a,
                               uint64_t b);

/* Ids with their check characters. 58 % of the parties are persons. */
struct synth_id {
    char text[SYNTH_ID_CHARS + 1];
};
struct synth_id synth_world_party(const struct synth_world *world, uint64_t number);
bool synth_world_party_is_person(const struct synth_world *world, uint64_t number);
struct synth_id synth_world_citizen(struct synth_random *random);
struct synth_id synth_world_company(struct synth_random *random, const char *category);

/* Appends the name of a person who is not there: the word for "test", and two syllables. */
void synth_world_put_person(struct buf *out, struct synth_random *random);
/* Appends 6200990 and twelve more digits. */
void synth_world_put_account(struct buf *out, struct synth_random *random);

#endif
