# SPDX-License-Identifier: Apache-2.0

# What Kconfig cannot say of the slots: their names, their number, and whether
# their longest value is kept in as many assets as a record has.

# As in crates/core/src/limits.rs.
set(DEVID_MAX_SLOTS 16)
set(DEVID_MAX_PARTS 8)
set(DEVID_MAX_GROUP_LEN 32)
# DEVID_NAME_SIZE of devid.h, less the zero that ends a name.
set(DEVID_MAX_NAME_LEN 23)

# The names that devid gives, also those that the layout at hand has no slot for.
set(DEVID_RESERVED_NAMES "^(idevid|ldevid[0-9]|iak|anchor[0-9])$")

function(devid_check_name option names)
  set(name "${CONFIG_${option}}")
  string(LENGTH "${name}" len)
  if(NOT name MATCHES "^[a-z0-9][a-z0-9-]*$" OR len GREATER DEVID_MAX_NAME_LEN)
    message(FATAL_ERROR "CONFIG_${option}=\"${name}\" is not a slot's name: it has 1 to "
      "${DEVID_MAX_NAME_LEN} lower-case letters, digits and hyphens, and no hyphen first.")
  endif()
  if(name MATCHES "${DEVID_RESERVED_NAMES}")
    message(FATAL_ERROR "CONFIG_${option}=\"${name}\" is the name of one of devid's own slots: "
      "choose another.")
  endif()
  if(name IN_LIST names)
    message(FATAL_ERROR "CONFIG_${option}=\"${name}\" is the name of another data slot: "
      "choose another.")
  endif()
endfunction()

# Refuses a limit whose record does not fit the parts that a record has.
function(devid_check_limit option)
  math(EXPR record "${DEVID_RECORD_HEADER_LEN} + ${CONFIG_${option}}")
  math(EXPR needed "(${record} + ${DEVID_MAX_PARTS} - 1) / ${DEVID_MAX_PARTS}")
  if(CONFIG_DEVID_ASSET_MAX_LEN LESS needed)
    message(FATAL_ERROR "A value of CONFIG_${option}=${CONFIG_${option}} bytes does not fit "
      "${DEVID_MAX_PARTS} assets: raise CONFIG_DEVID_ASSET_MAX_LEN from "
      "${CONFIG_DEVID_ASSET_MAX_LEN} to ${needed}, or lower the limit.")
  endif()
endfunction()

function(devid_check_layout)
  math(EXPR slots "1 + ${CONFIG_DEVID_OPERATIONAL_IDENTITIES} + ${CONFIG_DEVID_ANCHORS} \
    + ${CONFIG_DEVID_DATA_SLOTS}")
  if(CONFIG_DEVID_IAK_CHAIN)
    math(EXPR slots "${slots} + 1")
  endif()
  if(slots GREATER DEVID_MAX_SLOTS)
    message(FATAL_ERROR "Kconfig asks for ${slots} slots and devid has at most ${DEVID_MAX_SLOTS}: "
      "lower CONFIG_DEVID_DATA_SLOTS, CONFIG_DEVID_ANCHORS or "
      "CONFIG_DEVID_OPERATIONAL_IDENTITIES.")
  endif()
  string(LENGTH "${CONFIG_DEVID_GROUP}" len)
  if(len GREATER DEVID_MAX_GROUP_LEN)
    message(FATAL_ERROR "CONFIG_DEVID_GROUP has ${len} bytes: "
      "shorten it to at most ${DEVID_MAX_GROUP_LEN}.")
  endif()

  devid_check_limit(DEVID_CHAIN_MAX_LEN)
  if(CONFIG_DEVID_ANCHORS GREATER 0)
    devid_check_limit(DEVID_ANCHOR_MAX_LEN)
  endif()
  set(names)
  if(CONFIG_DEVID_DATA_SLOTS GREATER 0)
    math(EXPR last "${CONFIG_DEVID_DATA_SLOTS} - 1")
    foreach(n RANGE ${last})
      devid_check_name(DEVID_DATA${n}_NAME "${names}")
      list(APPEND names "${CONFIG_DEVID_DATA${n}_NAME}")
      devid_check_limit(DEVID_DATA${n}_MAX_LEN)
    endforeach()
  endif()
endfunction()
