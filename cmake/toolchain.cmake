# Compiler, warnings, hardening and sanitizers. One interface target, linked by every layer.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR "GCC ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines (double frees of frames); "
                      "use clang 19 (apt-get install clang-19) or GCC 14 and newer.")
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

include(CheckCXXCompilerFlag)
include(CheckPIESupported)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(millrace_flags INTERFACE)
target_include_directories(millrace_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(millrace_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -Werror=format-security -Wimplicit-fallthrough)
if(MILLRACE_WERROR)
  target_compile_options(millrace_flags INTERFACE -Werror)
endif()

function(millrace_flag_if_accepted flag)
  string(MAKE_C_IDENTIFIER "accepts${flag}" name)
  check_cxx_compiler_flag(${flag} ${name})
  if(${name})
    target_compile_options(millrace_flags INTERFACE ${flag})
  endif()
endfunction()

# OpenSSF hardening set (Compiler Options Hardening Guide for C and C++), where the compiler takes it.
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero
        -fstrict-flex-arrays=3 -fno-strict-aliasing -fno-strict-overflow -fno-delete-null-pointer-checks)
  millrace_flag_if_accepted(${flag})
endforeach()
target_compile_definitions(millrace_flags INTERFACE _GLIBCXX_ASSERTIONS)
target_link_options(millrace_flags INTERFACE -Wl,-z,nodlopen -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now)
if(MILLRACE_SANITIZE)
  target_compile_options(millrace_flags INTERFACE -fsanitize=${MILLRACE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(millrace_flags INTERFACE -fsanitize=${MILLRACE_SANITIZE})
else()
  target_compile_options(millrace_flags INTERFACE $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>)
endif()
# -O2 and CRC32/SSE4.2: the oldest processor Millrace runs on is x86-64-v2 (2009).
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(millrace_flags INTERFACE -march=x86-64-v2)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
