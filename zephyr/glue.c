/* SPDX-License-Identifier: Apache-2.0 */
/* The C side of devid on Zephyr; port.h says what each function owes. */
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include <psa/internal_trusted_storage.h>
#ifdef CONFIG_DEVID_HAS_PS
#include <psa/protected_storage.h>
#define storage(its, call, ...) ((its) ? psa_its_##call(__VA_ARGS__) : psa_ps_##call(__VA_ARGS__))
#else
#define storage(its, call, ...) psa_its_##call(__VA_ARGS__)
#endif

#include "port.h"

LOG_MODULE_REGISTER(devid, CONFIG_DEVID_LOG_LEVEL);

static K_MUTEX_DEFINE(lock);

bool devid_port_lock(void)
{
	/* Zephyr's mutex would let its owner in again. */
	if (k_is_in_isr() || lock.owner == k_current_get()) {
		return false;
	}
	return k_mutex_lock(&lock, K_FOREVER) == 0;
}

void devid_port_unlock(void)
{
	k_mutex_unlock(&lock);
}

void devid_port_panic(void)
{
	k_panic();
	CODE_UNREACHABLE;
}

/* Logs what storage answered. Full is an answer, not a fault. */
static psa_status_t logged(const char *what, uint32_t uid, psa_status_t status)
{
	switch (status) {
	case PSA_SUCCESS:
	case PSA_ERROR_DOES_NOT_EXIST:
		LOG_DBG("%s %08x: %d", what, uid, (int)status);
		break;
	case PSA_ERROR_INSUFFICIENT_STORAGE:
		LOG_WRN("%s %08x: the storage is full", what, uid);
		break;
	default:
		LOG_ERR("%s %08x: PSA status %d", what, uid, (int)status);
		break;
	}
	return status;
}

uint32_t devid_port_uptime(void)
{
	return k_uptime_seconds();
}

psa_status_t devid_port_storage_get(bool its, uint32_t uid, uint8_t *data, size_t size,
				    size_t *len)
{
	return logged("get", uid, storage(its, get, uid, 0, size, data, len));
}

psa_status_t devid_port_storage_set(bool its, uint32_t uid, const uint8_t *data, size_t len)
{
	return logged("set", uid, storage(its, set, uid, len, data, PSA_STORAGE_FLAG_NONE));
}

psa_status_t devid_port_storage_remove(bool its, uint32_t uid)
{
	return logged("remove", uid, storage(its, remove, uid));
}
