/* SPDX-License-Identifier: Apache-2.0 */
/* What this application wants of TF-M: more operations at once than the default of 8. */
#define CRYPTO_CONC_OPER_NUM 12
