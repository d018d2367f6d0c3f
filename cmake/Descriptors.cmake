# A script: writes the bytes of the file IN as the C array `rpc_descriptor_set` to the file OUT.
file(READ ${IN} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," array "${hex}")
string(REGEX REPLACE "(................................................................................)"
  "\\1\n" array "${array}")
file(WRITE ${OUT} "#include <stddef.h>
#include <stdint.h>

const size_t rpc_descriptor_set_bytes = ${bytes};
const uint8_t rpc_descriptor_set[] = {
${array}
};
")
