/* SPDX-License-Identifier: Apache-2.0 */
/* How deep each call of devid.h goes on its caller's stack. */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/shell/shell.h>
#include <zephyr/shell/shell_dummy.h>
#include <zephyr/sys/printk.h>
#include <zephyr/ztest.h>

#include <devid/devid.h>

#include "command.h"
#include "contract.h"
#include "issuer.h"

/* What no call may exceed, in bytes. */
#define STACK_BUDGET 4096

#define IDEVID  0x00
#define LDEVID  0x01
#define PENDING (LDEVID | DEVID_PENDING)
#define IAK     0x10
#define ANCHOR  0x20
#define SERIAL  0x30

K_THREAD_STACK_DEFINE(stack, 2 * STACK_BUDGET);
static struct k_thread thread;

static uint8_t buf[2560];
static uint8_t chain[1536];
static size_t chain_len;
static uint8_t command[1600];
static size_t command_len;
static int result;

/* The calls, in an order that lets each succeed. */

static int init(void)
{
	return devid_init();
}

static int slot_write(void)
{
	return devid_slot_write(SERIAL, (const uint8_t *)"SN-0001", 7);
}

static int slot_read(void)
{
	size_t len;

	return devid_slot_read(SERIAL, buf, sizeof(buf), &len);
}

static int slot_info(void)
{
	struct devid_slot_info info;

	return devid_slot_info(SERIAL, &info);
}

static int slot_find(void)
{
	uint8_t slot;

	return devid_slot_find("serial", &slot);
}

static int id_generate(void)
{
	return devid_id_generate(IDEVID);
}

static int id_public_key(void)
{
	size_t len;

	return devid_id_public_key(IDEVID, buf, sizeof(buf), &len);
}

static int id_csr(void)
{
	const struct devid_subject subject = {.common_name = "device"};
	size_t len;

	return devid_id_csr(IDEVID, &subject, buf, sizeof(buf), &len);
}

static int id_install(void)
{
	return devid_id_install(IDEVID, chain, chain_len, 1780000000, NULL);
}

static int id_certificate(void)
{
	size_t len;

	return devid_id_certificate(IDEVID, 1, buf, sizeof(buf), &len);
}

static int id_chain(void)
{
	size_t len;

	return devid_id_chain(IDEVID, buf, sizeof(buf), &len);
}

static int iak_public_key(void)
{
	size_t len;

	return devid_iak_public_key(buf, sizeof(buf), &len);
}

static int iak_chain_write(void)
{
	return devid_slot_write(IAK, chain, chain_len);
}

static int token_len(void)
{
	size_t len;

	return devid_token_len(32, &len);
}

static int token(void)
{
	static const uint8_t challenge[32];
	size_t len;

	return devid_token(challenge, sizeof(challenge), buf, sizeof(buf), &len);
}

static int evidence(void)
{
	static const uint8_t challenge[32];
	size_t len;

	return devid_evidence(challenge, sizeof(challenge), buf, sizeof(buf), &len);
}

static int anchor_write(void)
{
	return devid_slot_write(ANCHOR, chain, chain_len);
}

static int id_erase(void)
{
	return devid_slot_erase(LDEVID);
}

static int rotation_generate(void)
{
	return devid_id_generate(PENDING);
}

static int rotation_public_key(void)
{
	size_t len;

	return devid_id_public_key(PENDING, buf, sizeof(buf), &len);
}

static int rotation_install(void)
{
	return devid_id_install(PENDING, chain, chain_len, 1780000000, NULL);
}

static int rotation_phase(void)
{
	enum devid_phase phase;

	return devid_id_phase(LDEVID, &phase);
}

static int rotation_activate(void)
{
	return devid_id_activate(LDEVID);
}

static int rotation_confirm(void)
{
	return devid_id_confirm(LDEVID);
}

static int rotation_rollback(void)
{
	return devid_id_rollback(LDEVID);
}

static int key_id(void)
{
	uint32_t key;

	return devid_id_key(LDEVID, &key);
}

static int bound_evidence(void)
{
	static const uint8_t challenge[32];
	size_t len;

	return devid_bound_evidence(LDEVID, challenge, sizeof(challenge), buf, sizeof(buf), &len);
}

static int csr_with_evidence(void)
{
	static const uint8_t challenge[32];
	const struct devid_subject subject = {.common_name = "device"};
	size_t len;

	return devid_id_csr_with_evidence(LDEVID, &subject, challenge, sizeof(challenge), buf,
					  sizeof(buf), &len);
}

static int instance_id(void)
{
	size_t len;

	return devid_instance_id(buf, sizeof(buf), &len);
}

static int status(void)
{
	static struct devid_finding findings[DEVID_FINDINGS_MAX];
	size_t count;

	return devid_status(1780000000, findings, ARRAY_SIZE(findings), &count);
}

static int time_set(void)
{
	return devid_time_set(1780000000);
}

static int recovery_nonce(void)
{
	uint8_t nonce[DEVID_NONCE_LEN];

	return devid_recovery_nonce(&nonce);
}

static int update(void)
{
	return devid_update(command, command_len, NULL);
}

static int reset(void)
{
	return devid_reset();
}

static int lock(void)
{
	return devid_lock();
}

/* The shell's commands come with the shell's own share. */

static int shell_status(void)
{
	return shell_execute_cmd(shell_backend_dummy_get_ptr(), "devid status 1780000000");
}

static int shell_token_show(void)
{
	return shell_execute_cmd(shell_backend_dummy_get_ptr(),
				 "devid token show "
				 "0000000000000000000000000000000000000000000000000000000000000000");
}

static int shell_csr_with_evidence(void)
{
	return shell_execute_cmd(shell_backend_dummy_get_ptr(),
				 "devid id csr ldevid0 cn=device challenge="
				 "0000000000000000000000000000000000000000000000000000000000000000");
}

static int nothing(void)
{
	return 0;
}

static void entry(void *call, void *unused1, void *unused2)
{
	ARG_UNUSED(unused1);
	ARG_UNUSED(unused2);
	result = ((int (*)(void))call)();
}

/* Bytes of stack that a call used, the thread's own included. */
static size_t depth(int (*call)(void))
{
	size_t unused = 0;

	/* Preemptible, as the threads of applications are. */
	k_thread_create(&thread, stack, K_THREAD_STACK_SIZEOF(stack), entry, (void *)call, NULL,
			NULL, K_PRIO_PREEMPT(1), 0, K_NO_WAIT);
	k_thread_join(&thread, K_FOREVER);
	zassert_ok(k_thread_stack_space_get(&thread, &unused));
	return thread.stack_info.size - unused;
}

static size_t deepest;

static void measure(const char *name, int (*call)(void))
{
	const size_t idle = depth(nothing);
	const size_t used = depth(call) - idle;

	zassert_ok(result, "%s: %d", name, result);
	printk("STACK: %s %zu\n", name, used);
	deepest = MAX(deepest, used);
	zassert_true(used < STACK_BUDGET, "%s: %zu bytes", name, used);
}

#define MEASURE(call) measure(#call, call)

void contract_failed(const char *file, int line, const char *expectation)
{
	printk("%s:%d: not so: %s\n", file, line, expectation);
}

/* A chain over the key whose SPKI is in buf. */
static void make_chain(void)
{
	chain_len = issue_identity(buf + 91 - 65, chain, sizeof(chain));
	zassert_not_equal(chain_len, 0);
}

static void make_anchor(unsigned int key)
{
	chain_len = issue_anchor(key, chain, sizeof(chain));
	zassert_not_equal(chain_len, 0);
}

/* The next command of the anchor, for this device. */
static void sign_next(enum operation operation, uint8_t slot)
{
	struct command next = {.operation = operation,
			       .slot = slot,
			       .value = operation == OPERATION_ACTIVATE ? NULL : chain,
			       .value_len = chain_len,
			       .expiry = 1790000000};
	size_t len;

	zassert_ok(devid_instance_id(next.instance_id, sizeof(next.instance_id), &len));
	zassert_ok(devid_update_sequence(&next.sequence));
	next.sequence++;
	command_len = sign_command(&next, command, sizeof(command));
	zassert_not_equal(command_len, 0);
}

/* A pending key, and in chain a chain over it. */
static void prepare_rotation(void)
{
	zassert_ok(rotation_generate());
	zassert_ok(rotation_public_key());
	make_chain();
}

ZTEST(stack, test_no_call_exceeds_the_budget)
{
	size_t len;

	MEASURE(init);
	MEASURE(slot_write);
	MEASURE(slot_read);
	MEASURE(slot_info);
	MEASURE(slot_find);
	MEASURE(id_generate);
	MEASURE(id_csr);
	MEASURE(id_public_key);
	make_chain();
	MEASURE(id_install);
	MEASURE(id_certificate);
	MEASURE(id_chain);
	MEASURE(iak_public_key);
	make_chain();
	MEASURE(iak_chain_write);
	MEASURE(token_len);
	MEASURE(token);
	MEASURE(evidence);
	make_anchor(0);
	MEASURE(anchor_write);
	MEASURE(instance_id);
	MEASURE(status);
	MEASURE(shell_status);
	MEASURE(shell_token_show);

	zassert_ok(devid_id_generate(LDEVID));
	MEASURE(key_id);
	MEASURE(bound_evidence);
	MEASURE(csr_with_evidence);
	MEASURE(shell_csr_with_evidence);
	zassert_ok(devid_id_public_key(LDEVID, buf, sizeof(buf), &len));
	make_chain();
	zassert_ok(devid_id_install(LDEVID, chain, chain_len, DEVID_NO_TIME, NULL));
	MEASURE(rotation_generate);
	MEASURE(rotation_public_key);
	make_chain();
	MEASURE(rotation_install);
	MEASURE(rotation_phase);
	MEASURE(rotation_activate);
	MEASURE(rotation_rollback);
	prepare_rotation();
	zassert_ok(rotation_install());
	zassert_ok(rotation_activate());
	MEASURE(rotation_confirm);

	MEASURE(recovery_nonce);
	MEASURE(time_set);
	prepare_rotation();
	sign_next(OPERATION_INSTALL, LDEVID);
	measure("update_install", update);
	sign_next(OPERATION_ACTIVATE, LDEVID);
	measure("update_activate", update);
	zassert_ok(iak_public_key());
	make_chain();
	sign_next(OPERATION_WRITE, IAK);
	measure("update_write", update);
	make_anchor(1);
	sign_next(OPERATION_ADD_ANCHOR, ANCHOR + 1);
	measure("update_add_anchor", update);
	MEASURE(reset);
	zassert_ok(devid_id_generate(LDEVID));
	MEASURE(id_erase);
	MEASURE(lock);
	printk("STACK-DEEPEST: %zu of %d\n", deepest, STACK_BUDGET);
}

ZTEST_SUITE(stack, NULL, NULL, NULL, NULL, NULL);
