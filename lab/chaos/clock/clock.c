/*
 * A wall clock that can be set for one Go program alone: preloaded, this gives the
 * process a vDSO of its own, the kernel's but for clock_gettime, which adds the seconds
 * that stand in the file CHAOS_CLOCK (eight bytes, signed, native order) to the time of
 * day, and to nothing else. A Go program finds the vDSO by its auxiliary vector and
 * resolves clock_gettime there by itself, so that libraries which replace libc's
 * functions do not reach it, and namespaces of time do not have the time of day.
 *
 * Where anything is not as expected, it ends the process: a clock that is not set
 * would make a test that shows nothing.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;
static int (*real)(clockid_t, struct timespec *);

static int set_clock_gettime(clockid_t id, struct timespec *t)
{
	int failed = real(id, t);
	if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += *ahead;
	return failed;
}

static void give_up(const char *why)
{
	fprintf(stderr, "chaos clock: %s\n", why);
	_exit(125);
}

static void set_vdso(ElfW(auxv_t) *entry)
{
	const char *kernels = (const char *)entry->a_un.a_val;
	const ElfW(Ehdr) *head = (const void *)kernels;
	const ElfW(Phdr) *part = (const void *)(kernels + head->e_phoff);
	size_t size = 0;
	const ElfW(Phdr) *load = NULL, *dynamic = NULL;
	for (int i = 0; i < head->e_phnum; i++) {
		if (part[i].p_type == PT_LOAD && !load)
			load = &part[i];
		if (part[i].p_type == PT_DYNAMIC)
			dynamic = &part[i];
	}
	if (!load || !dynamic)
		give_up("the kernel's vDSO has another form");
	size = load->p_offset + load->p_memsz;

	char *ours = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ours == MAP_FAILED)
		give_up("no memory");
	memcpy(ours, kernels, size);

	/* Addresses in it count from here. */
	char *base = ours + load->p_offset - load->p_vaddr;
	const char *kernels_base = kernels + load->p_offset - load->p_vaddr;
	ElfW(Sym) *symbols = NULL;
	const char *names = NULL;
	for (const ElfW(Dyn) *d = (const void *)(ours + dynamic->p_offset); d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			symbols = (void *)(base + d->d_un.d_ptr);
		if (d->d_tag == DT_STRTAB)
			names = base + d->d_un.d_ptr;
	}
	if (!symbols || !names || (const char *)symbols > names)
		give_up("the kernel's vDSO has no symbols where they are looked for");
	for (ElfW(Sym) *s = symbols; (const char *)(s + 1) <= names; s++) {
		if (s->st_shndx == SHN_UNDEF || s->st_shndx == SHN_ABS)
			continue;
		const char *name = names + s->st_name;
		const char *code = kernels_base + s->st_value;
		if (!strcmp(name, "__vdso_clock_gettime") || !strcmp(name, "__kernel_clock_gettime")) {
			real = (int (*)(clockid_t, struct timespec *))code;
			code = (const char *)set_clock_gettime;
		}
		s->st_value = code - base; /* the code itself stays where its data is */
	}
	if (!real)
		give_up("the kernel's vDSO has no clock_gettime");
	entry->a_un.a_val = (uintptr_t)ours;
}

__attribute__((constructor)) static void set_clock(int argc, char **argv, char **environment)
{
	(void)argc, (void)argv;
	const char *file = getenv("CHAOS_CLOCK");
	if (!file)
		give_up("CHAOS_CLOCK names no file");
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up("the file of CHAOS_CLOCK cannot be opened");
	ahead = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
	if (ahead == MAP_FAILED)
		give_up("the file of CHAOS_CLOCK cannot be mapped");
	close(fd);
	while (*environment)
		environment++;
	for (ElfW(auxv_t) *entry = (void *)(environment + 1); entry->a_type != AT_NULL; entry++)
		if (entry->a_type == AT_SYSINFO_EHDR)
			set_vdso(entry);
	if (!real)
		give_up("the kernel gives this process no vDSO");
}
