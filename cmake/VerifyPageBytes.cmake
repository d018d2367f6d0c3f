# A script: writes the bytes of the file IN, their SHA-256 and the line of the file POLICY as C to the file OUT.
file(READ ${IN} hex HEX)
file(SHA256 ${IN} hash)
file(READ ${POLICY} policy)
string(STRIP "${policy}" policy)
if(policy MATCHES "[\n\r\"\\\\]")
  message(FATAL_ERROR "${POLICY}: not one line that a header can hold")
endif()
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," array "${hex}")
string(REGEX REPLACE
  "(................................................................................)" "\\1\n" array "${array}")
file(WRITE ${OUT} "#include <stddef.h>
#include <stdint.h>

extern const size_t verify_page_bytes_count;
extern const uint8_t verify_page_bytes[];
extern const char verify_page_hash[], verify_page_etag[], verify_page_policy[], verify_page_build[];

const char verify_page_hash[] = \"${hash}\";
const char verify_page_etag[] = \"\\\"${hash}\\\"\";
const char verify_page_build[] = \"verify.html sha256 ${hash}\\n\";
const char verify_page_policy[] = \"${policy}\";
const size_t verify_page_bytes_count = ${bytes};
const uint8_t verify_page_bytes[] = {
${array}
};
")
