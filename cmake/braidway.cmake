# SPDX-License-Identifier: Apache-2.0
# The words in which the rooms describe themselves to CMake.

add_library(braidway_flags INTERFACE)
target_include_directories(braidway_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_options(braidway_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Wrong for std::string's operator+ at -O2 (gcc bug 105651).
  target_compile_options(braidway_flags INTERFACE -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # -Wthread-safety is why the clang preset exists: it checks the annotations of sync/.
  # libstdc++ 12 deprecates what its own stable_sort() and stable_partition() use.
  target_compile_options(braidway_flags INTERFACE -Wno-deprecated-declarations)
  target_compile_options(braidway_flags INTERFACE -Wthread-safety -Wthread-safety-beta -Wno-c99-extensions)
endif()
if(CMAKE_BUILD_TYPE MATCHES "^Rel")
  # Messages of what is shipped name src/..., not the folder in which it was built. Elsewhere paths
  # stay whole, for the tools that open them.
  target_compile_options(braidway_flags INTERFACE -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
endif()
target_link_libraries(braidway_flags INTERFACE Threads::Threads)
if(BRAIDWAY_VALIDATE_LOCKS)
  target_compile_definitions(braidway_flags INTERFACE BRAIDWAY_SYNC_WATCHED=1)
endif()
if(BRAIDWAY_SANITIZE)
  # Global, so that test mains and small helper programs are instrumented alike.
  add_compile_options(-fsanitize=${BRAIDWAY_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BRAIDWAY_SANITIZE})
endif()

# braidway_room(NAME [IN_SHARED_LIBRARY] SOURCES a.cc ... USES other_room ...): the static library
# of one room. IN_SHARED_LIBRARY: a shared library that we install is made of it.
function(braidway_room name)
  cmake_parse_arguments(room "IN_SHARED_LIBRARY" "" "SOURCES;USES" ${ARGN})
  add_library(braidway_${name} STATIC ${room_SOURCES})
  set_target_properties(braidway_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ${room_IN_SHARED_LIBRARY})
  target_link_libraries(braidway_${name} PUBLIC braidway_flags)
  foreach(used ${room_USES})
    if(TARGET ${used} OR used MATCHES "::")
      target_link_libraries(braidway_${name} PUBLIC ${used})
    else()
      target_link_libraries(braidway_${name} PUBLIC braidway_${used})
    endif()
  endforeach()
endfunction()

# braidway_tests(ROOM SOURCES a_test.cc ... USES room ...): one test program for one room; each
# TEST becomes one ctest entry with the label "unit".
function(braidway_tests name)
  cmake_parse_arguments(room "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name}_tests ${room_SOURCES})
  foreach(used ${room_USES})
    if(TARGET ${used} OR used MATCHES "::")
      target_link_libraries(${name}_tests PRIVATE ${used})
    else()
      target_link_libraries(${name}_tests PRIVATE braidway_${used})
    endif()
  endforeach()
  target_include_directories(${name}_tests PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name}_tests PRIVATE GTest::gtest GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name}_tests DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
include(GoogleTest)

# braidway_exports(TARGET FILE): a shared library or module shows the names in the linker's version
# script FILE and nothing else.
function(braidway_exports target file)
  target_link_options(${target} PRIVATE "LINKER:--version-script=${file}")
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${file})
endfunction()

# braidway_pkgconfig(NAME FILE COMPONENT): installs FILE, a template, as NAME.pc. In it
# @prefix_from_pc@ is the way from the .pc file to its prefix, so that an installed tree may be
# moved.
function(braidway_pkgconfig name file component)
  set(folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  file(RELATIVE_PATH prefix_from_pc /${folder} /)
  configure_file(${file} ${CMAKE_BINARY_DIR}/lib/pkgconfig/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/lib/pkgconfig/${name}.pc
    DESTINATION ${folder} COMPONENT ${component})
endfunction()
