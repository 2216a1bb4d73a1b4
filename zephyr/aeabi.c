/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Arm run-time ABI's names for what the C library has. Rust code calls
 * them, and brings its own where it finds none: three kilobytes beside the C
 * library's, which every image holds anyway.
 */
#include <string.h>

void __aeabi_memcpy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

void __aeabi_memmove(void *to, const void *from, size_t len)
{
	memmove(to, from, len);
}

/* The ABI has the arguments in this order. */
void __aeabi_memset(void *to, size_t len, int byte)
{
	memset(to, byte, len);
}

void __aeabi_memclr(void *to, size_t len)
{
	memset(to, 0, len);
}

/* For what is aligned to 4 and to 8 bytes. */
#define ALIAS(of) __attribute__((alias(of)))

void __aeabi_memcpy4(void *to, const void *from, size_t len) ALIAS("__aeabi_memcpy");
void __aeabi_memcpy8(void *to, const void *from, size_t len) ALIAS("__aeabi_memcpy");
void __aeabi_memmove4(void *to, const void *from, size_t len) ALIAS("__aeabi_memmove");
void __aeabi_memmove8(void *to, const void *from, size_t len) ALIAS("__aeabi_memmove");
void __aeabi_memset4(void *to, size_t len, int byte) ALIAS("__aeabi_memset");
void __aeabi_memset8(void *to, size_t len, int byte) ALIAS("__aeabi_memset");
void __aeabi_memclr4(void *to, size_t len) ALIAS("__aeabi_memclr");
void __aeabi_memclr8(void *to, size_t len) ALIAS("__aeabi_memclr");
