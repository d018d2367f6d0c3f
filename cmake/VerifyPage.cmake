# The page in which people verify documents, as a C array: lib/net/verify_page.h. Nothing but a program that serves it
# has it in it. cmake/Web.cmake makes the files of BUILD/web.
set(WEB_OUT ${CMAKE_BINARY_DIR}/web)
if(NOT WEB_PAGE)
  file(CONFIGURE OUTPUT ${WEB_OUT}/verify.html
    CONTENT "<!doctype html><title>courtroll</title><p>This build has no page.\n")
  file(CONFIGURE OUTPUT ${WEB_OUT}/verify.csp CONTENT "default-src 'none'; frame-ancestors 'none'\n")
  file(SHA256 ${WEB_OUT}/verify.html hash)
  file(CONFIGURE OUTPUT ${WEB_OUT}/verify.html.sha256 CONTENT "${hash}  verify.html\n")
endif()
add_custom_command(
  OUTPUT ${WEB_OUT}/verify_page_bytes.c
  COMMAND ${CMAKE_COMMAND} -DIN=${WEB_OUT}/verify.html -DPOLICY=${WEB_OUT}/verify.csp
    -DOUT=${WEB_OUT}/verify_page_bytes.c -P ${CMAKE_SOURCE_DIR}/cmake/VerifyPageBytes.cmake
  DEPENDS ${WEB_OUT}/verify.html ${WEB_OUT}/verify.csp ${CMAKE_SOURCE_DIR}/cmake/VerifyPageBytes.cmake
  VERBATIM)
add_library(verify_page_bytes STATIC ${WEB_OUT}/verify_page_bytes.c)
