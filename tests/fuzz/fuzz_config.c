/* A configuration file of any bytes: it is refused, or every value is one its key allows. */
#include "base/config.h"

#include <assert.h>

static const struct config_key keys[] = {
    { .name = "path", .kind = CONFIG_PATH, .help = "" },
    { .name = "switch", .kind = CONFIG_SWITCH, .value = "on", .help = "" },
    { .name = "number",
      .kind = CONFIG_INTEGER,
      .value = "5",
      .least = 3,
      .most = 70000,
      .help = "" },
    { .name = "address", .kind = CONFIG_ADDRESS, .help = "" },
    { .name = "choice", .kind = CONFIG_CHOICE, .choices = "a|bc", .help = "" },
    { .name = "list", .kind = CONFIG_STRING, .is_repeatable = true, .help = "" },
};
static const struct config_schema schema = {
    .program = "fuzz",
    .summary = "",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = config_new(&schema);
    struct err err;
    if (config_parse(config, "fuzz", span_of(data, size), &err) == E_OK) {
        uint64_t number = config_integer(config, "number");
        assert(number >= 3);
        assert(number <= 70000);
        const char *path = config_string(config, "path");
        assert(path == NULL || (path[0] != '\0' && strlen(path) < CONFIG_LINE_BYTES_MAX));
        for (size_t i = 0; i < config_count(config, "list"); i++) {
            assert(config_item(config, "list", i)[0] != '\0');
        }
    } else {
        assert(err.code == E_MALFORMED);
    }
    config_free(config);
    return 0;
}
