# find_package(PortolanSDK): portolan_add_plugin(NAME SOURCES...), PORTOLAN_SDK_DIR and PORTOLAN_SDK_INCLUDE.
# optional: PORTOLAN_SDK_RUST is the policy face for Rust.
include(${CMAKE_CURRENT_LIST_DIR}/../../portolan/sdk/cmake/PortolanPlugin.cmake)
set(PORTOLAN_SDK_RUST ${PORTOLAN_SDK_DIR}/rust/portolan.rs)
