# libcourtroll.so exports courtroll_* only: what it is made of is ours to change. It links its packages itself, so a
# program needs nothing but -lcourtroll.
include(GNUInstallDirs)
add_library(libcourtroll SHARED ${CMAKE_SOURCE_DIR}/lib/client/courtroll.c
  ${CMAKE_SOURCE_DIR}/lib/client/courtroll_submit.c)
target_link_libraries(libcourtroll PRIVATE client net store evidence record tlog base)
target_link_options(libcourtroll PRIVATE
  -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/courtroll.map -Wl,--exclude-libs,ALL)
set_target_properties(libcourtroll PROPERTIES OUTPUT_NAME courtroll VERSION ${PROJECT_VERSION}
  SOVERSION 0 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/courtroll.map)

# `cmake --install BUILD --prefix PREFIX [--component library]`. The .pc file finds its prefix by itself.
file(RELATIVE_PATH COURTROLL_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" COURTROLL_PC_UP "${COURTROLL_PC_UP}")
configure_file(${CMAKE_SOURCE_DIR}/cmake/libcourtroll.pc.in ${CMAKE_BINARY_DIR}/libcourtroll.pc @ONLY)
install(TARGETS libcourtroll LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES ${CMAKE_SOURCE_DIR}/include/courtroll/courtroll.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/courtroll COMPONENT library)
install(FILES ${CMAKE_BINARY_DIR}/libcourtroll.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
install(FILES ${CMAKE_SOURCE_DIR}/docs/man/libcourtroll.3
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT library)
install(TARGETS courtroll courtroll-logd courtroll-witness courtroll-monitor
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)

# The man pages: from what the built programs say with --help, and docs/man.
find_program(PYTHON3 python3 REQUIRED)
file(GLOB MAN_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.[1-8] ${CMAKE_SOURCE_DIR}/docs/man/src/*)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/man/made
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CMAKE_BINARY_DIR}/man
  COMMAND ${PYTHON3} -B ${CMAKE_SOURCE_DIR}/docs/man/make.py --bin ${CMAKE_BINARY_DIR}/bin
    --source ${CMAKE_SOURCE_DIR}/docs/man --out ${CMAKE_BINARY_DIR}/man
  COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/man/made
  DEPENDS courtroll courtroll-logd courtroll-witness courtroll-monitor
    ${CMAKE_SOURCE_DIR}/docs/man/make.py ${MAN_SOURCES}
  VERBATIM)
add_custom_target(man ALL DEPENDS ${CMAKE_BINARY_DIR}/man/made)
foreach(section 1 5 8)
  install(DIRECTORY ${CMAKE_BINARY_DIR}/man/man${section} DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT programs)
endforeach()
foreach(program courtroll courtroll-logd courtroll-witness courtroll-monitor)
  install(FILES ${CMAKE_SOURCE_DIR}/docs/completion/courtroll.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ${program} COMPONENT programs)
endforeach()

# Documents, and the page that the daemons serve with its SHA-256, for those who compare.
file(GLOB documents CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
install(FILES ${CMAKE_BINARY_DIR}/web/verify.html ${CMAKE_BINARY_DIR}/web/verify.html.sha256 OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/courtroll COMPONENT programs)

# What the packages of deploy/debian have beside the programs. Their units are added there, each release having a place
# of its own for them.
file(GLOB configs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/deploy/config/*)
install(FILES ${configs} DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/courtroll COMPONENT system)
install(PROGRAMS ${CMAKE_SOURCE_DIR}/deploy/debian/setup-daemon
  DESTINATION ${CMAKE_INSTALL_DATADIR}/courtroll COMPONENT system)
