# SPDX-License-Identifier: Apache-2.0

# Sets <out> in the caller's scope to the Rust target of the board at hand.
function(devid_rust_target out)
  if(CONFIG_FP_HARDABI)
    set(float "hf")
  else()
    set(float "")
  endif()
  if(CONFIG_CPU_CORTEX_M0 OR CONFIG_CPU_CORTEX_M0PLUS OR CONFIG_CPU_CORTEX_M1)
    set(target "thumbv6m-none-eabi")
  elseif(CONFIG_CPU_CORTEX_M3)
    set(target "thumbv7m-none-eabi")
  elseif(CONFIG_CPU_CORTEX_M4 OR CONFIG_CPU_CORTEX_M7)
    set(target "thumbv7em-none-eabi${float}")
  elseif(CONFIG_CPU_CORTEX_M23)
    set(target "thumbv8m.base-none-eabi")
  elseif(CONFIG_CPU_CORTEX_M33 OR CONFIG_CPU_CORTEX_M55 OR CONFIG_CPU_CORTEX_M85)
    set(target "thumbv8m.main-none-eabi${float}")
  elseif(CONFIG_ARCH_POSIX AND CONFIG_64BIT AND CMAKE_HOST_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(target "x86_64-unknown-none")
  elseif(CONFIG_ARCH_POSIX AND CONFIG_64BIT AND CMAKE_HOST_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(target "aarch64-unknown-none")
  else()
    message(FATAL_ERROR "devid has no Rust target for ${BOARD}${BOARD_QUALIFIERS}: "
      "build for a Cortex-M board or for native_sim/native/64.")
  endif()
  set(${out} ${target} PARENT_SCOPE)
endfunction()

# Stops with one sentence where cargo, or the target's core library, is missing.
function(devid_require_rust target directory)
  find_program(CARGO cargo)
  find_program(RUSTC rustc)
  if(NOT CARGO OR NOT RUSTC)
    message(FATAL_ERROR "devid needs Rust's cargo on the PATH: install it from https://rustup.rs.")
  endif()
  execute_process(
    COMMAND ${RUSTC} --print target-libdir --target ${target}
    WORKING_DIRECTORY ${directory}
    OUTPUT_VARIABLE libdir
    OUTPUT_STRIP_TRAILING_WHITESPACE
  )
  if(NOT IS_DIRECTORY "${libdir}")
    message(FATAL_ERROR "devid needs Rust's core library for this board: "
      "run `rustup target add ${target}` in ${directory}.")
  endif()
endfunction()

# Stops with one sentence where libclang is missing, with which bindgen reads the
# PSA headers. It is looked for where bindgen's clang-sys looks.
function(devid_require_libclang)
  if(DEFINED ENV{LIBCLANG_PATH})
    set(folders $ENV{LIBCLANG_PATH})
    if(EXISTS "${folders}" AND NOT IS_DIRECTORY "${folders}")
      return()
    endif()
  elseif(CMAKE_HOST_SYSTEM_NAME STREQUAL "Linux")
    set(folders /usr/local/llvm*/lib* /usr/local/lib* /usr/local/lib*/* /usr/local/lib*/*/*
      /usr/lib* /usr/lib*/* /usr/lib*/*/*)
    string(REPLACE ":" ";" more "$ENV{LD_LIBRARY_PATH}:$ENV{LIBRARY_PATH}")
    list(APPEND folders ${more})
    find_program(LLVM_CONFIG llvm-config)
    if(LLVM_CONFIG)
      execute_process(COMMAND ${LLVM_CONFIG} --prefix OUTPUT_VARIABLE prefix
        OUTPUT_STRIP_TRAILING_WHITESPACE)
      list(APPEND folders ${prefix}/lib ${prefix}/lib64)
    endif()
  else()
    return()
  endif()
  list(TRANSFORM folders APPEND /libclang OUTPUT_VARIABLE files)
  list(TRANSFORM files APPEND [.-]* OUTPUT_VARIABLE files)
  file(GLOB found LIST_DIRECTORIES false ${files})
  list(FILTER found INCLUDE REGEX "/libclang[^/]*\\.(so|dylib|dll)")
  list(FILTER found EXCLUDE REGEX "-cpp\\.")
  if(NOT found)
    message(FATAL_ERROR "devid needs libclang to read the PSA headers: install it (Debian's "
      "libclang-dev), or set LIBCLANG_PATH to the folder that it lies in.")
  endif()
endfunction()
