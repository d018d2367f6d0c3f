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
install(FILES ${CMAKE_SOURCE_DIR}/docs/man/courtroll-submit.1
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT programs)
