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
  target_compile_options(grace_flags INTERFACE -fsanitize=${GRACE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(grace_flags INTERFACE -fsanitize=${GRACE_SANITIZE})
endif()
