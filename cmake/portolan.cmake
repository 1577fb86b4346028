# Flags, libraries and the two functions that the tree is built with.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Poco REQUIRED COMPONENTS Foundation Util Net NetSSL)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(Boost 1.74 REQUIRED)

if(PORTOLAN_SANITIZE)
  add_compile_options(-fsanitize=${PORTOLAN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
                      $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>) # clang 14 cannot assemble it for coroutines
  add_link_options(-fsanitize=${PORTOLAN_SANITIZE})
endif()

add_library(portolan_flags INTERFACE)
target_compile_options(portolan_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion)
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(portolan_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>) # every file of a group looks like a header to gcc
endif()

# llhttp: the system's library, else the C sources that Debian 12 ships in node-llhttp.
find_library(LLHTTP_LIBRARY llhttp)
find_path(LLHTTP_INCLUDE llhttp.h PATH_SUFFIXES llhttp HINTS /usr/share/include)
if(LLHTTP_LIBRARY AND LLHTTP_INCLUDE)
  add_library(portolan_llhttp INTERFACE)
  target_link_libraries(portolan_llhttp INTERFACE ${LLHTTP_LIBRARY})
else()
  set(llhttp_source /usr/share/llhttp)
  add_library(portolan_llhttp STATIC ${llhttp_source}/api.c ${llhttp_source}/http.c ${llhttp_source}/llhttp.c)
  set_target_properties(portolan_llhttp PROPERTIES UNITY_BUILD OFF)
endif()
target_include_directories(portolan_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})
if(TARGET portolan_llhttp AND llhttp_source)
  target_include_directories(portolan_llhttp SYSTEM PRIVATE ${LLHTTP_INCLUDE})
endif()

# How code is compiled that no request runs: a fifth quicker to build.
function(portolan_seldom_runs target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# portolan_room(NAME ROOMS other rooms it may know LIBS libraries): the static library of host/NAME.
function(portolan_room name)
  cmake_parse_arguments(room "" "" "ROOMS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/${name}/*.cpp)
  add_library(portolan_${name} STATIC ${sources})
  target_include_directories(portolan_${name} PUBLIC ${PROJECT_SOURCE_DIR}/host)
  list(TRANSFORM room_ROOMS PREPEND portolan_ OUTPUT_VARIABLE rooms)
  target_link_libraries(portolan_${name} PUBLIC ${rooms} PRIVATE portolan_flags ${room_LIBS})
  if(name MATCHES "^(core|wire|upstream|dispatch|dialect|front)$") # gcc inlines less in larger units, which requests would pay for
    set_target_properties(portolan_${name} PROPERTIES UNITY_BUILD OFF)
  endif()
  if(name MATCHES "^(config|control|check)$")
    portolan_seldom_runs(portolan_${name})
  endif()
endfunction()

# How a program of tests is compiled: quickly, as most of its time goes into what it tests.
function(portolan_test_build target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O0>)
  set_target_properties(${target} PROPERTIES UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# portolan_test(ROOM LIBS ...): every tests/ROOM/*.cpp in one Catch2 binary called test_ROOM.
function(portolan_test name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE portolan_test_main portolan_flags ${ARGN})
  portolan_test_build(test_${name})
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600
    ENVIRONMENT "PORTOLAN_BUILD=${CMAKE_BINARY_DIR}" SKIP_RETURN_CODE 77)
endfunction()
