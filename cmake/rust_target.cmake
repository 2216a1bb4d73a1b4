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
