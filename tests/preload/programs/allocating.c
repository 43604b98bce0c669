/* Counts what was allocated before main(): this malloc() is everybody's. usage: allocating LIBRARY */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static char memory[1 << 20];
static size_t used;
static int calls;

void *malloc(size_t size)
{
	void *start = memory + used;
	calls++;
	used += (size + 15) & ~(size_t)15;
	return start;
}

void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *old, size_t size) { return old ? memcpy(malloc(size), old, size) : malloc(size); }

void free(void *old) { (void)old; }

static int look(struct dl_phdr_info *info, size_t size, void *name)
{
	(void)size;
	return !strcmp(info->dlpi_name, name);
}

int main(int count, char **arguments)
{
	int before = calls;
	printf("loaded=%d\n", count > 1 && dl_iterate_phdr(look, arguments[1]));
	printf("allocations=%d\n", before);
	return 0;
}
