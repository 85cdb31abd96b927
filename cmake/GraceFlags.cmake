# The one place for compiler flags. Every target links grace_flags PRIVATE.
add_library(grace_flags INTERFACE)
target_compile_features(grace_flags INTERFACE cxx_std_20)
target_compile_options(grace_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wnull-dereference -Wconversion -Wno-sign-conversion -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # -Wnull-dereference and -Wrestrict misfire in libstdc++ strings on GCC 12.
  target_compile_options(grace_flags INTERFACE -Wno-restrict -Wno-null-dereference)
endif()
if(GRACE_SANITIZE)
  target_compile_options(grace_flags INTERFACE
                         -fsanitize=${GRACE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(grace_flags INTERFACE -fsanitize=${GRACE_SANITIZE})
endif()
if(GRACE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC warns of fences. The only ones are ConcurrentQueue's; fanin_queue.h tells the sanitizer what
  # they order.
  target_compile_options(grace_flags INTERFACE -Wno-tsan)
endif()
if(GRACE_BUILD_FUZZ)
  # Coverage of our own code steers the fuzzer; only its program itself links libFuzzer's main().
  target_compile_options(grace_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Words put before each test program. ThreadSanitizer's shadow memory needs address space where a
# kernel with many random bits (vm.mmap_rnd_bits over 28) puts libraries now and then; without
# randomization it is free. Some containers forbid switching it off: then the test runs as it is.
set(GRACE_TEST_LAUNCHER "")
if(GRACE_SANITIZE MATCHES "thread")
  find_program(GRACE_SETARCH setarch)
  if(GRACE_SETARCH)
    set(launcher ${GRACE_SETARCH} ${CMAKE_HOST_SYSTEM_PROCESSOR} -R)
    execute_process(COMMAND ${launcher} true RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(NOT failed)
      set(GRACE_TEST_LAUNCHER ${launcher})
    endif()
  endif()
endif()
