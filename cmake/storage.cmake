# SPDX-License-Identifier: Apache-2.0

# The room that devid's assets and keys need at their worst, and whether the
# storage at hand has it. docs/storage-format.md derives the numbers.
#
# A storage here is some blocks of equal size. An asset lies within one block,
# blocks are compacted one by one, and a new asset goes to the first block with
# room for it. So a write of n bytes succeeds whatever was written before, in
# whatever order, if the blocks have more than blocks * (n - 1) bytes free.

# A record's header, and a copy of the device's own state.
set(DEVID_RECORD_HEADER_LEN 52)
set(DEVID_STATE_LEN 268)

# A P-256 key as Mbed TLS stores it: 36 bytes of attributes and 32 of key.
set(DEVID_KEY_LEN 68)

# How many blocks more are tried for the advice that a refusal gives.
set(DEVID_MORE_BLOCKS 64)

function(devid_max out)
  list(SORT ARGN COMPARE NATURAL ORDER DESCENDING)
  list(GET ARGN 0 max)
  set(${out} ${max} PARENT_SCOPE)
endfunction()

# Appends <value> to <list>, <count> times.
function(devid_append list value count)
  string(REPEAT "${value};" ${count} appended)
  set(${list} ${${list}} ${appended} PARENT_SCOPE)
endfunction()

function(devid_align out len unit)
  math(EXPR aligned "(${len} + ${unit} - 1) / ${unit} * ${unit}")
  set(${out} ${aligned} PARENT_SCOPE)
endfunction()

# The assets that a record of <len> bytes is spread over.
function(devid_parts out len)
  set(parts)
  while(len GREATER CONFIG_DEVID_ASSET_MAX_LEN)
    list(APPEND parts ${CONFIG_DEVID_ASSET_MAX_LEN})
    math(EXPR len "${len} - ${CONFIG_DEVID_ASSET_MAX_LEN}")
  endwhile()
  set(${out} ${parts} ${len} PARENT_SCOPE)
endfunction()

# The lengths of all assets there may be at once, where chains are at most
# <chain> bytes: every slot at its limit, each identity with the active chain and
# the pending one, and one more of the longest record while it is written.
function(devid_assets out chain)
  math(EXPR chains "2 * (1 + ${CONFIG_DEVID_OPERATIONAL_IDENTITIES})")
  if(CONFIG_DEVID_IAK_CHAIN)
    math(EXPR chains "${chains} + 1")
  endif()
  set(values)
  devid_append(values ${chain} ${chains})
  devid_append(values ${CONFIG_DEVID_ANCHOR_MAX_LEN} ${CONFIG_DEVID_ANCHORS})
  if(CONFIG_DEVID_DATA_SLOTS GREATER 0)
    math(EXPR last "${CONFIG_DEVID_DATA_SLOTS} - 1")
    foreach(n RANGE ${last})
      list(APPEND values ${CONFIG_DEVID_DATA${n}_MAX_LEN})
    endforeach()
  endif()

  set(assets)
  devid_max(longest ${values})
  foreach(value IN LISTS values)
    math(EXPR record "${DEVID_RECORD_HEADER_LEN} + ${value}")
    devid_parts(parts ${record})
    list(APPEND assets ${parts})
    # Further parts stay in the old bank until it is written again.
    list(POP_FRONT parts)
    list(APPEND assets ${parts})
  endforeach()
  math(EXPR record "${DEVID_RECORD_HEADER_LEN} + ${longest}")
  devid_parts(spare ${record})
  set(${out} ${assets} ${spare} PARENT_SCOPE)
endfunction()

# Keys there may be at once: each identity's active and pending one, and the one
# by which devid_status() tries whether there is room.
function(devid_keys out)
  math(EXPR keys "2 * (1 + ${CONFIG_DEVID_OPERATIONAL_IDENTITIES}) + 1")
  set(${out} ${keys} PARENT_SCOPE)
endfunction()

# What assets of these lengths take with <overhead> bytes each: their number,
# their bytes and the longest, as <out>_count, <out>_bytes and <out>_longest.
function(devid_sum out overhead unit)
  set(bytes 0)
  set(longest 0)
  foreach(len IN LISTS ARGN)
    math(EXPR len "${len} + ${overhead}")
    devid_align(len ${len} ${unit})
    math(EXPR bytes "${bytes} + ${len}")
    if(len GREATER longest)
      set(longest ${len})
    endif()
  endforeach()
  list(LENGTH ARGN count)
  set(${out}_count ${count} PARENT_SCOPE)
  set(${out}_bytes ${bytes} PARENT_SCOPE)
  set(${out}_longest ${longest} PARENT_SCOPE)
endfunction()

# Bytes to spare in <out>, negative where <len> bytes may not find room in
# <blocks> blocks of <capacity> bytes in all, of which <used> are taken.
function(devid_spare out blocks capacity used len)
  math(EXPR spare "${capacity} - ${used} - ${blocks} * (${len} - 1) - 1")
  set(${out} ${spare} PARENT_SCOPE)
endfunction()

#
# TF-M's flash filesystem, which PS and ITS each have one of. Its metadata shares
# the first block with data; one more block is scratch for it and one for data,
# or one for both where there are but two.
#

# <out>_blocks that hold data, and their <out>_capacity with a table of <files>.
function(devid_tfm_filesystem out area files)
  devid_max(unit 4 ${CONFIG_DEVID_TFM_PROGRAM_UNIT})
  math(EXPR physical "${area} / ${CONFIG_DEVID_TFM_BLOCK_SIZE}")
  devid_max(blocks 3 ${physical})
  math(EXPR blocks "${blocks} - 2")
  # The sizes of its_metadata_block_header_t, its_block_meta_t, its_file_meta_t.
  devid_align(header 8 ${unit})
  devid_align(block_meta 12 ${unit})
  devid_align(file_meta 32 ${unit})
  math(EXPR metadata "${header} + ${blocks} * ${block_meta} + ${files} * ${file_meta}")
  # There is no filesystem of one block, nor of three.
  set(capacity 0)
  if(physical MATCHES "^([2456789]|..+)$" AND metadata LESS CONFIG_DEVID_TFM_BLOCK_SIZE)
    math(EXPR capacity "${blocks} * ${CONFIG_DEVID_TFM_BLOCK_SIZE} - ${metadata}")
  endif()
  set(${out}_blocks ${blocks} PARENT_SCOPE)
  set(${out}_capacity ${capacity} PARENT_SCOPE)
endfunction()

# Measures PS with chains of at most <chain> bytes, in <area> bytes: how many
# assets there may be (count), the longest of them, the bytes they take (used) of
# those there are (capacity), and what a write at the worst time can spare.
function(devid_measure_tfm_ps chain area)
  set(assets)
  if(CONFIG_DEVID_STORAGE_PS)
    devid_assets(assets ${chain})
  endif()
  # A copy of the device's state.
  list(APPEND assets ${DEVID_STATE_LEN})
  devid_append(assets ${CONFIG_DEVID_OTHER_ASSET_MAX_LEN} ${CONFIG_DEVID_OTHER_ASSETS})
  # Encrypted with an object's information (16), and the IV (12).
  devid_sum(ps 28 ${CONFIG_DEVID_TFM_PROGRAM_UNIT} ${assets})
  # ps_obj_table_t: 48 bytes, and 32 for each object and one more.
  math(EXPR table "48 + 32 * (${ps_count} + 1)")
  devid_align(table ${table} ${CONFIG_DEVID_TFM_PROGRAM_UNIT})
  # Beside the objects: two tables, and an object that replaces another.
  math(EXPR files "${ps_count} + 3")
  devid_tfm_filesystem(fs ${area} ${files})

  # The last object is written beside one table, then the other table beside both.
  math(EXPR used "${ps_bytes} + ${table}")
  math(EXPR before "${used} - ${ps_longest}")
  devid_spare(for_object ${fs_blocks} ${fs_capacity} ${before} ${ps_longest})
  devid_spare(for_table ${fs_blocks} ${fs_capacity} ${used} ${table})
  if(for_table LESS for_object)
    set(for_object ${for_table})
  endif()
  math(EXPR used "${used} + ${table}")
  # The table passes through the buffer of an object.
  math(EXPR longest "${ps_longest} - 28")
  devid_max(longest ${longest} ${table})
  set(count ${ps_count} PARENT_SCOPE)
  set(longest ${longest} PARENT_SCOPE)
  set(used ${used} PARENT_SCOPE)
  set(capacity ${fs_capacity} PARENT_SCOPE)
  set(spare ${for_object} PARENT_SCOPE)
endfunction()

# The same for ITS, which has the keys too, and the seed of TF-M's random numbers.
function(devid_measure_tfm_its chain area)
  set(assets 64)
  if(CONFIG_DEVID_STORAGE_ITS)
    devid_assets(own ${chain})
    list(APPEND assets ${own})
  endif()
  devid_keys(keys)
  devid_append(assets ${DEVID_KEY_LEN} ${keys})
  # A copy of the device's state; both where there is no protected storage.
  list(APPEND assets ${DEVID_STATE_LEN})
  if(NOT CONFIG_DEVID_HAS_PS)
    list(APPEND assets ${DEVID_STATE_LEN})
  endif()
  devid_append(assets ${CONFIG_DEVID_OTHER_ASSET_MAX_LEN} ${CONFIG_DEVID_OTHER_ASSETS})
  devid_sum(its 0 ${CONFIG_DEVID_TFM_PROGRAM_UNIT} ${assets})
  math(EXPR files "${its_count} + 1")
  devid_tfm_filesystem(fs ${area} ${files})
  math(EXPR before "${its_bytes} - ${its_longest}")
  devid_spare(spare ${fs_blocks} ${fs_capacity} ${before} ${its_longest})
  set(count ${its_count} PARENT_SCOPE)
  set(longest ${its_longest} PARENT_SCOPE)
  set(used ${its_bytes} PARENT_SCOPE)
  set(capacity ${fs_capacity} PARENT_SCOPE)
  set(spare ${spare} PARENT_SCOPE)
endfunction()

#
# Zephyr's secure storage over settings over NVS: a log of sectors, one of which
# is kept empty. An asset is two entries, its value and its name.
#

# <sectors> have DEVID_SETTINGS_SECTOR bytes, written in units of DEVID_SETTINGS_UNIT.
function(devid_measure_settings chain sectors)
  devid_assets(assets ${chain})
  devid_keys(keys)
  devid_append(assets ${DEVID_KEY_LEN} ${keys})
  # Both copies of the device's state.
  devid_append(assets ${DEVID_STATE_LEN} 2)
  devid_append(assets ${CONFIG_DEVID_OTHER_ASSET_MAX_LEN} ${CONFIG_DEVID_OTHER_ASSETS})

  # Each entry has 8 bytes in its sector's allocation table, and the sector three
  # of them to itself.
  devid_align(table_entry 8 ${DEVID_SETTINGS_UNIT})
  # Flags come before a value. A name is prefix, caller, "/" and the uid's digits:
  # 8 of ours, at most 16 of others.
  math(EXPR value "${CONFIG_SECURE_STORAGE_ITS_TRANSFORM_OUTPUT_OVERHEAD} + 1 + ${table_entry}")
  string(LENGTH "${CONFIG_SECURE_STORAGE_ITS_STORE_SETTINGS_PREFIX}" name)
  math(EXPR name "${name} + 2 + 8 + ${table_entry}")
  devid_align(name ${name} ${DEVID_SETTINGS_UNIT})
  devid_sum(settings ${value} ${DEVID_SETTINGS_UNIT} ${assets})
  # One entry more counts the names.
  math(EXPR used "${settings_bytes} + ${settings_count} * ${name} \
    + 8 * ${CONFIG_DEVID_OTHER_ASSETS} + 2 * ${table_entry}")

  math(EXPR blocks "${sectors} - 1")
  math(EXPR capacity "${blocks} * (${DEVID_SETTINGS_SECTOR} - 3 * ${table_entry})")
  math(EXPR before "${used} - ${settings_longest}")
  devid_spare(spare ${blocks} ${capacity} ${before} ${settings_longest})
  set(count ${settings_count} PARENT_SCOPE)
  set(used ${used} PARENT_SCOPE)
  set(capacity ${capacity} PARENT_SCOPE)
  set(spare ${spare} PARENT_SCOPE)
endfunction()

#
# The verdict.
#

# Measures <place>, refuses what does not fit it, and says what would. <option>
# gives its area, in steps of <step> bytes.
macro(devid_require_room measure area step place option)
  cmake_language(CALL ${measure} ${CONFIG_DEVID_CHAIN_MAX_LEN} ${area})
  if(spare LESS 0)
    devid_refuse(${measure} ${area} ${step} "${option}"
      "What devid may have to keep, ${count} assets of ${used} bytes, does not fit the "
      "${capacity} bytes of ${place} in every order of writing")
  endif()
endmacro()

function(devid_refuse measure area step option)
  set(chain ${CONFIG_DEVID_CHAIN_MAX_LEN})
  set(spare -1)
  while(spare LESS 0 AND chain GREATER 256)
    math(EXPR chain "(${chain} - 1) / 16 * 16")
    cmake_language(CALL ${measure} ${chain} ${area})
  endwhile()
  set(advice "Have fewer or shorter slots")
  if(NOT spare LESS 0)
    string(APPEND advice ", or lower CONFIG_DEVID_CHAIN_MAX_LEN from "
      "${CONFIG_DEVID_CHAIN_MAX_LEN} to ${chain}")
  endif()

  set(format DECIMAL)
  if(area MATCHES "^0x")
    set(format HEXADECIMAL)
  endif()
  set(spare -1)
  # Where the longest asset takes nearly a whole block, no area may suffice.
  foreach(more RANGE 1 ${DEVID_MORE_BLOCKS})
    math(EXPR larger "${area} + ${more} * ${step}" OUTPUT_FORMAT ${format})
    cmake_language(CALL ${measure} ${CONFIG_DEVID_CHAIN_MAX_LEN} ${larger})
    if(NOT spare LESS 0)
      string(APPEND advice ", or raise ${option} from ${area} to ${larger}")
      break()
    endif()
  endforeach()
  message(FATAL_ERROR ${ARGN} ". ${advice}.")
endfunction()

# Checks TF-M's <service>, PS or ITS: sets DEVID_<service>_NUM_ASSETS and
# DEVID_<service>_MAX_ASSET_SIZE in the caller's scope, and appends to <told>.
function(devid_check_tfm service place told)
  string(TOLOWER "devid_measure_tfm_${service}" measure)
  set(area ${CONFIG_DEVID_TFM_${service}_SIZE})
  cmake_language(CALL ${measure} ${CONFIG_DEVID_CHAIN_MAX_LEN} ${area})

  # An object takes 72 bytes with what encrypts it, and lies within one block.
  math(EXPR object "${longest} + 72")
  if(object GREATER CONFIG_DEVID_TFM_BLOCK_SIZE)
    message(FATAL_ERROR "An asset of ${longest} bytes does not fit a block of ${place}: lower "
      "CONFIG_DEVID_ASSET_MAX_LEN or the number of slots, or raise CONFIG_DEVID_TFM_BLOCK_SIZE "
      "from ${CONFIG_DEVID_TFM_BLOCK_SIZE} to ${object}.")
  endif()
  set(numbers "${used} bytes of an area not known")
  if(area GREATER 0)
    devid_require_room(${measure} ${area} ${CONFIG_DEVID_TFM_BLOCK_SIZE} "${place}"
      "its area and CONFIG_DEVID_TFM_${service}_SIZE")
    set(numbers "${used} of ${capacity} bytes")
  endif()

  set(DEVID_${service}_NUM_ASSETS ${count} PARENT_SCOPE)
  set(DEVID_${service}_MAX_ASSET_SIZE ${longest} PARENT_SCOPE)
  set(${told} "${${told}}; ${service} ${count} assets, ${numbers}" PARENT_SCOPE)
endfunction()

# Refuses an asset that no sector of the settings takes, however many there are.
function(devid_require_sector)
  devid_assets(assets ${CONFIG_DEVID_CHAIN_MAX_LEN})
  devid_max(longest ${assets} ${DEVID_KEY_LEN})
  # The sector's own entries in its allocation table, and the asset's.
  devid_align(table_entry 8 ${DEVID_SETTINGS_UNIT})
  math(EXPR room "(${DEVID_SETTINGS_SECTOR} - 4 * ${table_entry}) \
    / ${DEVID_SETTINGS_UNIT} * ${DEVID_SETTINGS_UNIT} \
    - ${CONFIG_SECURE_STORAGE_ITS_TRANSFORM_OUTPUT_OVERHEAD} - 1")
  if(longest GREATER room)
    # Halves leave room to move them; Kconfig's range begins at 512.
    math(EXPR half "${room} / 2")
    devid_max(half 512 ${half})
    message(FATAL_ERROR "An asset of ${longest} bytes does not fit a sector of the settings, of "
      "${DEVID_SETTINGS_SECTOR} bytes: lower CONFIG_DEVID_ASSET_MAX_LEN from "
      "${CONFIG_DEVID_ASSET_MAX_LEN} to ${half}, or raise "
      "CONFIG_SETTINGS_NVS_SECTOR_SIZE_MULT.")
  endif()
endfunction()

# Checks Zephyr's secure storage, if it is over settings over NVS.
function(devid_check_settings told)
  if(CONFIG_SECURE_STORAGE_ITS_STORE_IMPLEMENTATION_SETTINGS AND CONFIG_SETTINGS_NVS)
    dt_chosen(partition PROPERTY "zephyr,settings-partition")
    if(NOT DEFINED partition)
      dt_nodelabel(partition NODELABEL storage_partition)
    endif()
    dt_reg_size(area PATH ${partition})
    # A partition is a child of "partitions", and that of its flash.
    cmake_path(GET partition PARENT_PATH flash)
    cmake_path(GET flash PARENT_PATH flash)
    dt_prop(erase_block PATH ${flash} PROPERTY erase-block-size)
    dt_prop(DEVID_SETTINGS_UNIT PATH ${flash} PROPERTY write-block-size)

    math(EXPR DEVID_SETTINGS_SECTOR "${erase_block} * ${CONFIG_SETTINGS_NVS_SECTOR_SIZE_MULT}")
    math(EXPR sectors "${area} / ${DEVID_SETTINGS_SECTOR}")
    set(option "the sectors of ${partition}")
    if(sectors GREATER CONFIG_SETTINGS_NVS_SECTOR_COUNT)
      set(sectors ${CONFIG_SETTINGS_NVS_SECTOR_COUNT})
      set(option CONFIG_SETTINGS_NVS_SECTOR_COUNT)
    endif()
    devid_require_sector()
    devid_require_room(devid_measure_settings ${sectors} 1 "the settings" "${option}")
    set(${told} "${${told}}; settings ${count} assets, ${used} of ${capacity} bytes" PARENT_SCOPE)
  endif()

  devid_assets(assets ${CONFIG_DEVID_CHAIN_MAX_LEN})
  devid_max(longest ${assets} ${DEVID_KEY_LEN})
  if(CONFIG_SECURE_STORAGE_ITS_MAX_DATA_SIZE LESS longest)
    message(FATAL_ERROR "devid has assets of ${longest} bytes: raise "
      "CONFIG_SECURE_STORAGE_ITS_MAX_DATA_SIZE from ${CONFIG_SECURE_STORAGE_ITS_MAX_DATA_SIZE} "
      "to ${longest}, or lower CONFIG_DEVID_ASSET_MAX_LEN.")
  endif()
endfunction()

# Checks the storage at hand and tells what it holds at its worst. Sets what
# zephyr/tfm_config.h.in asks for in the caller's scope.
macro(devid_check_storage)
  devid_keys(keys)
  set(words "devid's storage: ${keys} keys")
  set(DEVID_PS_NUM_ASSETS 0)
  set(DEVID_PS_MAX_ASSET_SIZE 0)
  if(NOT CONFIG_BUILD_WITH_TFM)
    devid_check_settings(words)
  else()
    if(CONFIG_TFM_PARTITION_PROTECTED_STORAGE)
      devid_check_tfm(PS "TF-M's protected storage" words)
    endif()
    devid_check_tfm(ITS "TF-M's internal trusted storage" words)
    # TF-M's 0x700 are for a table of 10.
    math(EXPR DEVID_PS_STACK_SIZE "0x700 + 32 * (${DEVID_PS_NUM_ASSETS} - 10)")
  endif()
  message(STATUS "${words}")
endmacro()
