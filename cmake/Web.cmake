# The verification page: web/bundle.py makes one file of web/, the same bytes anywhere.
find_program(PYTHON3 python3 REQUIRED PATHS /usr/bin NO_DEFAULT_PATH)
file(GLOB_RECURSE WEB_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*.js ${CMAKE_SOURCE_DIR}/web/page/page.*)
set(WEB_OUT ${CMAKE_BINARY_DIR}/web)
add_custom_command(
  OUTPUT ${WEB_OUT}/verify.html ${WEB_OUT}/verify.html.sha256 ${WEB_OUT}/verify.csp
  COMMAND ${PYTHON3} -B ${CMAKE_SOURCE_DIR}/web/bundle.py ${WEB_OUT}
  DEPENDS ${WEB_SOURCES} ${CMAKE_SOURCE_DIR}/web/bundle.py
  COMMENT "Bundling the verification page" VERBATIM)
add_custom_target(web ALL DEPENDS ${WEB_OUT}/verify.html)
