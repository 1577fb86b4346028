# find_package(PortolanSDK): portolan_add_plugin(NAME SOURCES...), portolan_add_rust_plugin(NAME SOURCE), portolan_add_check(NAME [CASES ...]),
# PORTOLAN_SDK_DIR, PORTOLAN_SDK_INCLUDE, PORTOLAN_SDK_RUST; PortolanSDK::check (portolan/check.h) if the compiled part is there.
include(${CMAKE_CURRENT_LIST_DIR}/../../portolan/sdk/cmake/PortolanPlugin.cmake)
get_filename_component(_portolan_check ${CMAKE_CURRENT_LIST_DIR}/../../../lib/portolan/libportolan_check.so ABSOLUTE)
if(EXISTS ${_portolan_check} AND NOT TARGET PortolanSDK::check)
  add_library(PortolanSDK::check SHARED IMPORTED)
  set_target_properties(PortolanSDK::check PROPERTIES IMPORTED_LOCATION ${_portolan_check} IMPORTED_NO_SONAME ON
                        INTERFACE_INCLUDE_DIRECTORIES ${PORTOLAN_SDK_INCLUDE})
endif()
unset(_portolan_check)
