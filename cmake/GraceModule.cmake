# grace_module(NAME name SOURCES src... HEADERS public... DEPS target... PRIVATE_DEPS target...)
# One static library grace_<name> (alias grace::<name>). Public headers live below include/ and are
# a file set, so that each is proven to compile alone (all_verify_interface_header_sets).
function(grace_module)
  cmake_parse_arguments(M "" "NAME" "SOURCES;HEADERS;DEPS;PRIVATE_DEPS" ${ARGN})
  if(M_SOURCES)
    add_library(grace_${M_NAME} STATIC ${M_SOURCES})
    target_sources(grace_${M_NAME} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${M_HEADERS})
    target_include_directories(grace_${M_NAME} PRIVATE src)
    target_link_libraries(grace_${M_NAME} PUBLIC ${M_DEPS} PRIVATE ${M_PRIVATE_DEPS} grace_flags)
    target_compile_features(grace_${M_NAME} PUBLIC cxx_std_20)
  else()
    add_library(grace_${M_NAME} INTERFACE)
    target_sources(grace_${M_NAME} INTERFACE FILE_SET HEADERS BASE_DIRS include FILES ${M_HEADERS})
    target_link_libraries(grace_${M_NAME} INTERFACE ${M_DEPS})
    target_compile_features(grace_${M_NAME} INTERFACE cxx_std_20)
  endif()
  set_target_properties(grace_${M_NAME} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  add_library(grace::${M_NAME} ALIAS grace_${M_NAME})
endfunction()

# grace_executable(name SOURCES ... DEPS ...): a program that is shipped. It gets mimalloc, except
# under a sanitizer, which must be the allocator itself.
function(grace_executable name)
  cmake_parse_arguments(E "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${E_SOURCES})
  target_link_libraries(${name} PRIVATE ${E_DEPS} grace_flags)
  if(NOT GRACE_SANITIZE)
    # Nothing calls it by name: without this the linker would drop it, and malloc stay glibc's.
    target_link_libraries(${name} PRIVATE -Wl,--push-state,--no-as-needed mimalloc -Wl,--pop-state)
  endif()
endfunction()

# With GRACE_PRECOMPILE: the headers that all tests include, compiled once. Off by default and in
# the dev preset, so that an include that a test forgot is found there.
function(grace_precompile_test_headers name)
  if(NOT TARGET grace_test_headers)
    file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/test_headers.cc CONTENT "")
    add_library(grace_test_headers OBJECT ${CMAKE_BINARY_DIR}/test_headers.cc)
    target_link_libraries(grace_test_headers PRIVATE GTest::gtest grace_flags)
    target_precompile_headers(grace_test_headers PRIVATE
      <gtest/gtest.h> <atomic> <chrono> <condition_variable> <deque> <filesystem> <fstream>
      <functional> <map> <mutex> <optional> <span> <thread> <unordered_map>)
  endif()
  target_precompile_headers(${name} REUSE_FROM grace_test_headers)
endfunction()

# Whether sequential tests run: those that start no thread, or none that other tests do not run as
# well. Under ThreadSanitizer they could not fail, and took half of its time.
set(GRACE_SEQUENTIAL_TESTS ON)
if(GRACE_SANITIZE MATCHES "thread")
  set(GRACE_SEQUENTIAL_TESTS OFF)
endif()

# grace_test(name SOURCES ... DEPS ... [TIMEOUT s] [SEQUENTIAL]): one GoogleTest program, registered
# with ctest as one test.
function(grace_test name)
  cmake_parse_arguments(T "SEQUENTIAL" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT GRACE_BUILD_TESTS OR (T_SEQUENTIAL AND NOT GRACE_SEQUENTIAL_TESTS))
    # The target exists, so that what is said of it below its declaration still holds, but nobody
    # builds it.
    add_executable(${name} EXCLUDE_FROM_ALL ${T_SOURCES})
    return()
  endif()
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${T_DEPS} GTest::gtest_main GTest::gtest grace_flags)
  if(GRACE_PRECOMPILE)
    grace_precompile_test_headers(${name})
  endif()
  add_test(NAME ${name} COMMAND ${GRACE_TEST_LAUNCHER} $<TARGET_FILE:${name}>)
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT})
endfunction()

# grace_bench(name SOURCES ... DEPS ...): one Google Benchmark program; also run tiny by ctest.
function(grace_bench name)
  cmake_parse_arguments(B "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${B_SOURCES})
  target_link_libraries(${name} PRIVATE ${B_DEPS} benchmark::benchmark grace_flags)
  if(GRACE_BUILD_TESTS)
    # The unit suffix is asked for by newer versions and unknown to older ones.
    if(benchmark_VERSION VERSION_GREATER_EQUAL 1.8.0)
      set(shortest 0.001s)
    else()
      set(shortest 0.001)
    endif()
    add_test(NAME ${name}_tiny COMMAND ${name} --benchmark_min_time=${shortest})
    set_tests_properties(${name}_tiny PROPERTIES TIMEOUT 300)
  endif()
endfunction()

# grace_fuzzer(name SOURCES ... DEPS ... [CORPUS folder]): a libFuzzer program, only with
# GRACE_BUILD_FUZZ. Registered with ctest for a brief run (GRACE_FUZZ_SECONDS) that starts from the
# files in CORPUS and leaves what it learned in the build folder.
function(grace_fuzzer name)
  if(NOT GRACE_BUILD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(F "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${F_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${F_DEPS} grace_flags)
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
  set(found ${CMAKE_BINARY_DIR}/fuzz/${name})
  file(MAKE_DIRECTORY ${found}/corpus)
  set(seeds "")
  if(F_CORPUS)
    get_filename_component(seeds ${F_CORPUS} ABSOLUTE)
  endif()
  add_test(NAME ${name}_brief COMMAND ${name} -max_total_time=${GRACE_FUZZ_SECONDS} -timeout=10
           -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=${found}/ ${found}/corpus
           ${seeds})
  math(EXPR timeout "${GRACE_FUZZ_SECONDS} + 60")
  set_tests_properties(${name}_brief PROPERTIES TIMEOUT ${timeout} LABELS fuzz)
endfunction()
