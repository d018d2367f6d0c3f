# Where each package is found. The names of Debian's packages are in deploy/packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(SMARTCOLS REQUIRED IMPORTED_TARGET smartcols)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(P11_KIT REQUIRED p11-kit-1) # its headers only: the module is loaded at run time
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(QRENCODE REQUIRED IMPORTED_TARGET libqrencode)
pkg_check_modules(PANGOCAIRO REQUIRED IMPORTED_TARGET pangocairo cairo-pdf) # certificates as PDF

# `pkg-config --libs grpc` lists some 80 libraries; the C surface needs two.
add_library(grpc_lib INTERFACE)
target_link_libraries(grpc_lib INTERFACE grpc gpr)
add_library(leveldb_lib INTERFACE)
target_link_libraries(leveldb_lib INTERFACE leveldb)
add_library(inih_lib INTERFACE)
target_link_libraries(inih_lib INTERFACE inih)

# llhttp: a library where it is packaged, else the C source that Debian 12's node-llhttp installs.
find_library(LLHTTP_LIBRARY llhttp)
if(LLHTTP_LIBRARY)
  add_library(llhttp INTERFACE)
  target_link_libraries(llhttp INTERFACE ${LLHTTP_LIBRARY})
else()
  set(LLHTTP_SOURCE /usr/share/llhttp CACHE PATH "folder of llhttp's api.c, http.c, llhttp.c")
  add_library(llhttp STATIC ${LLHTTP_SOURCE}/api.c ${LLHTTP_SOURCE}/http.c
    ${LLHTTP_SOURCE}/llhttp.c)
  target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
  target_compile_options(llhttp PRIVATE -w)
endif()

# Generated protobuf-c code.
find_program(PROTOC_C protoc-c REQUIRED)
file(GLOB PROTO_FILES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/courtroll/v1/*.proto
  ${CMAKE_SOURCE_DIR}/proto/grpc/*/v1/*.proto)
set(PROTO_OUT ${CMAKE_BINARY_DIR}/proto)
foreach(proto ${PROTO_FILES})
  file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/proto ${proto})
  string(REPLACE .proto .pb-c.c source ${name})
  string(REPLACE .proto .pb-c.h header ${name})
  add_custom_command(
    OUTPUT ${PROTO_OUT}/${source} ${PROTO_OUT}/${header}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROTO_OUT}
    COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR}/proto --c_out=${PROTO_OUT} ${name}
    DEPENDS ${proto} VERBATIM)
  list(APPEND PROTO_SOURCES ${PROTO_OUT}/${source})
  list(APPEND PROTO_NAMES ${name})
endforeach()

# The same files as a FileDescriptorSet in a C array, for the reflection service. Many tools still ask
# for its older package, so there is one more file: the newer one under that name.
find_program(PROTOC protoc REQUIRED)
set(REFLECTION grpc/reflection/v1/reflection.proto)
set(REFLECTION_OLD grpc/reflection/v1alpha/reflection.proto)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/proto/${REFLECTION})
file(READ ${CMAKE_SOURCE_DIR}/proto/${REFLECTION} content)
string(REPLACE "package grpc.reflection.v1;" "package grpc.reflection.v1alpha;" content "${content}")
file(CONFIGURE OUTPUT ${PROTO_OUT}/${REFLECTION_OLD} CONTENT "${content}" @ONLY)
add_custom_command(
  OUTPUT ${PROTO_OUT}/descriptors.c
  COMMAND ${PROTOC} --proto_path=${CMAKE_SOURCE_DIR}/proto --proto_path=${PROTO_OUT}
    --include_imports --descriptor_set_out=${PROTO_OUT}/descriptors.bin
    ${PROTO_NAMES} ${REFLECTION_OLD}
  COMMAND ${CMAKE_COMMAND} -DIN=${PROTO_OUT}/descriptors.bin -DOUT=${PROTO_OUT}/descriptors.c
    -P ${CMAKE_SOURCE_DIR}/cmake/Descriptors.cmake
  DEPENDS ${PROTO_FILES} ${PROTO_OUT}/${REFLECTION_OLD} ${CMAKE_SOURCE_DIR}/cmake/Descriptors.cmake
  VERBATIM)
list(APPEND PROTO_SOURCES ${PROTO_OUT}/descriptors.c)

add_library(rpc_proto STATIC ${PROTO_SOURCES})
target_include_directories(rpc_proto SYSTEM PUBLIC ${PROTO_OUT})
target_compile_options(rpc_proto PRIVATE -w)
target_link_libraries(rpc_proto PUBLIC PkgConfig::PROTOBUF_C)
