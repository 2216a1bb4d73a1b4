/* SPDX-License-Identifier: Apache-2.0 */
/* The contract's cases under Zephyr. */
#include <zephyr/sys/printk.h>
#include <zephyr/ztest.h>

#include "contract.h"

const bool contract_attests = IS_ENABLED(CONFIG_DEVID_ATTESTATION);
const char contract_group[] = CONFIG_DEVID_GROUP;

void contract_failed(const char *file, int line, const char *expectation)
{
	printk("%s:%d: not so: %s\n", file, line, expectation);
}

ZTEST(contract, test_every_case_holds)
{
	size_t held = 0;

	for (size_t i = 0; i < contract_case_count; i++) {
		const bool holds = contract_run(&contract_cases[i]);

		printk("%s %s\n", holds ? "holds" : "FAILS", contract_cases[i].name);
		held += holds;
	}
	printk("contract: %zu of %zu cases hold\n", held, contract_case_count);
	zassert_true(contract_case_count > 0);
	zassert_equal(held, contract_case_count);
}

ZTEST_SUITE(contract, NULL, NULL, NULL, NULL, NULL);
