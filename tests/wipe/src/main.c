/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application beside devid that may call PSA's storage and crypto, as all
 * non-secure code may: it wipes what devid keeps, puts old copies back, and
 * restarts. In each life devid has to find out what happened.
 */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include <psa/crypto.h>
#include <psa/internal_trusted_storage.h>
#include <psa/protected_storage.h>
#include <tfm_platform_api.h>

#include <devid/devid.h>

#include "contract.h"
#include "issuer.h"

#define IDEVID 0x00
#define ANCHOR 0x20
#define SERIAL 0x30

/* docs/storage-format.md: where devid's assets, keys and copies of the state are. */
#define ASSETS    4096
#define KEYS      512
#define STATE_ITS (CONFIG_DEVID_STORAGE_ID_BASE + 0xf20)
#define STATE_PS  (CONFIG_DEVID_STORAGE_ID_BASE + 0xf21)
#define STATE_LEN 268

/* What outlives a warm restart beside storage: this RAM is nobody else's. */
#define ALIVE 0x11fe11fe
static __noinit struct {
	uint32_t alive;
	unsigned int life;
	unsigned int broken;
	uint8_t its[STATE_LEN];
	uint8_t ps[STATE_LEN];
} kept;

static uint8_t certificate[768];
static uint8_t spki[91];

void contract_failed(const char *file, int line, const char *expectation)
{
	printk("%s:%d: not so: %s\n", file, line, expectation);
	kept.broken++;
}

#define EXPECT(expression)                                                                         \
	do {                                                                                       \
		if (!(expression)) {                                                               \
			contract_failed(__FILE__, __LINE__, #expression);                          \
		}                                                                                  \
	} while (0)

static bool is_locked(void)
{
	bool locked = false;

	EXPECT(devid_is_locked(&locked) == 0);
	return locked;
}

static bool is_found(enum devid_problem problem)
{
	struct devid_finding findings[DEVID_FINDINGS_MAX];
	size_t count = 0;

	EXPECT(devid_status(DEVID_NO_TIME, findings, DEVID_FINDINGS_MAX, &count) == 0);
	for (size_t i = 0; i < count; i++) {
		if (findings[i].problem == problem) {
			return true;
		}
	}
	return false;
}

/* What a thief does first: the anchor and the identity are to be his. */
static void expect_closed(void)
{
	const size_t len = issue_anchor(1, certificate, sizeof(certificate));

	EXPECT(devid_slot_write(ANCHOR, certificate, len) == -EACCES);
	EXPECT(devid_slot_erase(ANCHOR) == -EACCES);
	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"stolen", 6) == -EACCES);
	EXPECT(devid_id_generate(IDEVID) == -EACCES);
	EXPECT(devid_slot_erase(IDEVID) == -EACCES);
}

/* As a factory does. */
static void provision(void)
{
	size_t len;

	EXPECT(devid_id_generate(IDEVID) == 0);
	EXPECT(devid_id_public_key(IDEVID, spki, sizeof(spki), &len) == 0);
	len = issue_identity(spki + 91 - 65, certificate, sizeof(certificate));
	EXPECT(devid_id_install(IDEVID, certificate, len, DEVID_NO_TIME, NULL) == 0);
	len = issue_anchor(0, certificate, sizeof(certificate));
	EXPECT(devid_slot_write(ANCHOR, certificate, len) == 0);
	EXPECT(devid_slot_write(SERIAL, (const uint8_t *)"SN-1", 4) == 0);
	EXPECT(!is_locked());
	/* Copies of the state from before the lock, for later. */
	EXPECT(psa_its_get(STATE_ITS, 0, STATE_LEN, kept.its, &len) == PSA_SUCCESS);
	EXPECT(len == STATE_LEN);
	EXPECT(psa_ps_get(STATE_PS, 0, STATE_LEN, kept.ps, &len) == PSA_SUCCESS);
	EXPECT(len == STATE_LEN);
	EXPECT(devid_lock() == 0);
}

static void wipe_ps(void)
{
	unsigned int removed = 0;

	for (uint32_t uid = 0; uid < ASSETS; uid++) {
		removed += psa_ps_remove(CONFIG_DEVID_STORAGE_ID_BASE + uid) == PSA_SUCCESS;
	}
	printk("removed %u assets from PS\n", removed);
}

static void wipe_its(void)
{
	unsigned int removed = 0;

	for (uint32_t uid = 0; uid < ASSETS; uid++) {
		removed += psa_its_remove(CONFIG_DEVID_STORAGE_ID_BASE + uid) == PSA_SUCCESS;
	}
	printk("removed %u assets from ITS\n", removed);
}

static void destroy_keys(void)
{
	unsigned int destroyed = 0;

	for (uint32_t id = 0; id < KEYS; id++) {
		destroyed += psa_destroy_key(CONFIG_DEVID_KEY_ID_BASE + id) == PSA_SUCCESS;
	}
	printk("destroyed %u keys\n", destroyed);
}

static const char *yes(bool is_so)
{
	return is_so ? "yes" : "no";
}

static void told(const char *what)
{
	printk("life %u%s: locked=%s, repaired=%s\n", kept.life, what, yes(is_locked()),
	       yes(is_found(DEVID_PROBLEM_STATE_REPAIRED)));
}

/* Looks at what the last life left, and does the next harm. False after the last. */
static bool live(void)
{
	switch (kept.life) {
	case 1:
		provision();
		expect_closed();
		printk("life 1: locked=%s, the factory's slots are closed\n", yes(is_locked()));
		EXPECT(psa_its_set(STATE_ITS, STATE_LEN, kept.its, 0) == PSA_SUCCESS);
		return true;
	case 2:
		told(", an old copy of the state put back into ITS");
		expect_closed();
		wipe_ps();
		return true;
	case 3:
		told(", PS wiped");
		expect_closed();
		wipe_its();
		return true;
	case 4:
		told(", ITS wiped");
		expect_closed();
		wipe_ps();
		wipe_its();
		return true;
	case 5:
		printk("life 5, both wiped, the keys kept: locked=%s, lost=%s\n", yes(is_locked()),
		       yes(is_found(DEVID_PROBLEM_STATE_CORRUPT)));
		expect_closed();
		EXPECT(devid_lock() == -EILSEQ);
		EXPECT(psa_ps_set(STATE_PS, STATE_LEN, kept.ps, 0) == PSA_SUCCESS);
		return true;
	case 6:
		/* Out of reach: who can put back all that devid keeps turns back the time. */
		told(", an old copy of the state put back into PS");
		wipe_ps();
		wipe_its();
		destroy_keys();
		return true;
	default:
		printk("life 7, both wiped and the keys destroyed: locked=%s, new=%s\n",
		       yes(is_locked()), yes(is_found(DEVID_PROBLEM_NO_KEY)));
		return false;
	}
}

int main(void)
{
	if (kept.alive != ALIVE) {
		memset(&kept, 0, sizeof(kept));
		kept.alive = ALIVE;
	}
	kept.life++;
	if (live()) {
		tfm_platform_system_reset();
	}
	printk("wipe: %u promises broken\n", kept.broken);
	kept.alive = 0;
	return 0;
}
