/* A file layer that a test can cut the power of.
 *
 * Preloaded into a program, it watches one flat directory, FAULTFS_DIR. Before anything in there changes, it keeps what
 * was there in FAULTFS_UNDO; a sync throws away what it kept of the thing that was synced. After SIGKILL the harness
 * plays back what is left (e2e/harness/layer.rs), and the directory holds what was synced and nothing else. A program
 * without these variables, or that touches other directories only, notices nothing.
 *
 * The model, as strict as POSIX allows:
 *  - fsync and fdatasync of a file keep its bytes and its length. Of other files they keep nothing.
 *  - fsync of the directory keeps the names in it: before, a file that was made is gone, one that was removed or
 *    replaced is back. Some file systems keep a new name with the first sync of its file; a program may not hope for it.
 *  - Everything else is lost, all of it and not a random part: the undo of one file is in one order.
 *  - Files that end in -shm are memory and not kept at all: SQLite maps them and makes them anew.
 * The page cache survives the end of a process, so what is kept needs no sync of its own. A record that SIGKILL cut
 * short is left out: its change was not made yet.
 *
 * FAULTFS_CONTROL names a file with lines such as `write 28` or `sync 5`: while one stands there, that sort of call
 * fails with that error (28 is ENOSPC, 5 is EIO), and a sync that fails keeps nothing. While `hold 1` stands there, the
 * next sync stays where it is until SIGKILL, and leaves the file `held` in FAULTFS_UNDO.
 *
 * Only what std and SQLite call is watched; a descriptor that was duplicated, a map that is written to and
 * copy_file_range would slip through.
 *
 * Why C? `open` has a variable number of arguments, which stable Rust cannot define, and a runtime of its own inside
 * of the calls that it replaces would call itself. The compiler is there: bundled SQLite needs it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, A_FILE, APPENDS, DIRECTORY, DESCRIPTORS = 1 << 16 };
static const uint64_t SEAL = 0x6f646e75; /* "undo" */

static const char *watched, *undo, *control;
static volatile unsigned char sort[DESCRIPTORS]; /* what each descriptor stands for */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char *record;
static size_t room;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

static void begin(void)
{
	real_open = dlsym(RTLD_NEXT, "open64");
	real_openat = dlsym(RTLD_NEXT, "openat64");
	real_close = dlsym(RTLD_NEXT, "close");
	real_write = dlsym(RTLD_NEXT, "write");
	real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	real_writev = dlsym(RTLD_NEXT, "writev");
	real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	real_fsync = dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	real_unlink = dlsym(RTLD_NEXT, "unlink");
	real_rename = dlsym(RTLD_NEXT, "rename");
	undo = getenv("FAULTFS_UNDO");
	control = getenv("FAULTFS_CONTROL");
	watched = undo ? getenv("FAULTFS_DIR") : NULL;
}

/* Other libraries open files before a constructor of ours could run. */
static void ready(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, begin);
}

/* What cannot be kept cannot be given back: better no test than a wrong one. */
static void broken(const char *what)
{
	dprintf(2, "faultfs: %s: %s\n", what, strerror(errno));
	abort();
}

/* The name of a path in the watched directory, "" for the directory itself, NULL for everything else. */
static const char *name_in(const char *path)
{
	size_t length;

	if (!watched || !path)
		return NULL;
	length = strlen(watched);
	if (strncmp(path, watched, length) != 0)
		return NULL;
	if (path[length] == '\0')
		return path + length;
	if (path[length] != '/' || strchr(path + length + 1, '/'))
		return NULL;
	return path + length + 1;
}

static int is_memory(const char *name)
{
	size_t length = strlen(name);
	return length > 4 && strcmp(name + length - 4, "-shm") == 0;
}

static int stands_for(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? sort[fd] : NOTHING;
}

/* Whether this sort of call is to fail now; then errno says how. */
static int fails(const char *call)
{
	char text[256], *line;
	ssize_t length;
	int fd, number = 0;

	if (!control || (fd = real_open(control, O_RDONLY | O_CLOEXEC)) < 0)
		return 0;
	length = read(fd, text, sizeof text - 1);
	real_close(fd);
	text[length > 0 ? length : 0] = '\0';
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, call, strlen(call)) == 0 && line[strlen(call)] == ' ')
			number = atoi(line + strlen(call));
	if (number)
		errno = number;
	return number != 0;
}

static void kept_in(char *path, size_t size, const struct stat *file)
{
	snprintf(path, size, "%s/data-%llu", undo, (unsigned long long)file->st_ino);
}

/* Keeps the length of a file and `length` bytes of it from `offset`, as far as they are there. */
static void keep(int fd, off_t offset, size_t length)
{
	char path[4096];
	struct stat file;
	uint64_t head[3], seal;
	ssize_t got = 0;
	size_t size;
	int to;

	if (fstat(fd, &file) != 0)
		broken("fstat");
	size = sizeof head + length + sizeof seal;
	if (size > room && !(record = realloc(record, room = size)))
		broken("realloc");
	if (offset < file.st_size) {
		/* The descriptor may be for writing alone. */
		char itself[64];
		int from;
		snprintf(itself, sizeof itself, "/proc/self/fd/%d", fd);
		if ((from = real_open(itself, O_RDONLY | O_CLOEXEC)) < 0)
			broken("open for reading");
		got = pread(from, record + sizeof head, length, offset);
		real_close(from);
		if (got < 0)
			broken("pread");
	}
	head[0] = (uint64_t)offset, head[1] = (uint64_t)file.st_size, head[2] = (uint64_t)got;
	seal = SEAL ^ head[2];
	memcpy(record, head, sizeof head);
	memcpy(record + sizeof head + got, &seal, sizeof seal);
	size = sizeof head + (size_t)got + sizeof seal;
	kept_in(path, sizeof path, &file);
	to = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (to < 0 || real_write(to, record, size) != (ssize_t)size)
		broken("keeping bytes");
	real_close(to);
}

static void forget(int fd)
{
	char path[4096];
	struct stat file;

	if (fstat(fd, &file) != 0)
		broken("fstat");
	kept_in(path, sizeof path, &file);
	real_unlink(path);
}

/* Keeps that a name is about to be made, removed (what it names is `saved` then) or given to another file. */
static void keep_name(const char *what, const char *name, const char *other, const char *saved)
{
	char path[4096], line[4096];
	int to, length;

	snprintf(path, sizeof path, "%s/names", undo);
	length = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\n", what, name, other, saved);
	to = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (to < 0 || real_write(to, line, (size_t)length) != length)
		broken("keeping a name");
	real_close(to);
}

/* A second name for what may be about to lose its only one; "" where there is nothing. */
static void save(const char *path, char *saved, size_t size)
{
	static unsigned count;
	char to[4096];

	snprintf(saved, size, "saved-%d-%u", (int)getpid(), count++);
	snprintf(to, sizeof to, "%s/%s", undo, saved);
	if (link(path, to) == 0)
		return;
	if (errno != ENOENT)
		broken("link");
	saved[0] = '\0';
}

/* The names are synced: what was removed is gone for good, and what was kept of its bytes with it. */
static void forget_names(void)
{
	char path[4096], kept[4096], line[4096], *saved;
	struct stat file;
	FILE *names;

	snprintf(path, sizeof path, "%s/names", undo);
	if (!(names = fopen(path, "r")))
		return;
	while (fgets(line, sizeof line, names)) {
		line[strcspn(line, "\n")] = '\0';
		if (!(saved = strrchr(line, '\t')) || !saved[1])
			continue;
		snprintf(kept, sizeof kept, "%s/%s", undo, saved + 1);
		if (stat(kept, &file) == 0) {
			real_unlink(kept);
			kept_in(kept, sizeof kept, &file);
			real_unlink(kept);
		}
	}
	fclose(names);
	real_unlink(path);
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
	const char *name = name_in(path);
	struct stat file;
	int fd, is_new, before;

	if (!name || is_memory(name))
		return real_openat(at, path, flags, mode);
	pthread_mutex_lock(&turn);
	is_new = (flags & O_CREAT) && lstat(path, &file) != 0;
	if (is_new && fails("write")) {
		fd = -1;
	} else {
		if (is_new)
			keep_name("made", name, "", "");
		if ((flags & O_TRUNC) && !is_new && (before = real_open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
			if (fstat(before, &file) == 0)
				keep(before, 0, (size_t)file.st_size);
			real_close(before);
		}
		fd = real_openat(at, path, flags, mode);
		if (fd >= 0 && is_new)
			forget(fd); /* of a file that had its number before */
		if (fd >= DESCRIPTORS)
			broken("too many descriptors");
		if (fd >= 0 && fstat(fd, &file) == 0)
			sort[fd] = S_ISDIR(file.st_mode) ? DIRECTORY : (flags & O_APPEND) ? APPENDS : A_FILE;
	}
	pthread_mutex_unlock(&turn);
	return fd;
}

#define MODE(flags)                                                                                                    \
	mode_t mode = 0;                                                                                               \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                         \
		va_list rest;                                                                                          \
		va_start(rest, flags);                                                                                 \
		mode = va_arg(rest, mode_t);                                                                           \
		va_end(rest);                                                                                          \
	}

int open(const char *path, int flags, ...)
{
	MODE(flags)
	ready();
	return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE(flags)
	ready();
	return opened(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	MODE(flags)
	ready();
	return opened(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
	MODE(flags)
	ready();
	return opened(at, path, flags, mode);
}

int close(int fd)
{
	ready();
	if (stands_for(fd))
		sort[fd] = NOTHING;
	return real_close(fd);
}

static off_t position(int fd)
{
	struct stat file;
	if (stands_for(fd) == APPENDS)
		return fstat(fd, &file) == 0 ? file.st_size : 0;
	return lseek(fd, 0, SEEK_CUR);
}

/* Keeps what a write is about to replace. False where it is to fail. The turn is the caller's to give back. */
static int may_write(int fd, off_t offset, size_t length)
{
	pthread_mutex_lock(&turn);
	if (fails("write"))
		return 0;
	keep(fd, offset, length);
	return 1;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	ssize_t done = -1;
	ready();
	if (!stands_for(fd))
		return real_write(fd, bytes, length);
	if (may_write(fd, position(fd), length))
		done = real_write(fd, bytes, length);
	pthread_mutex_unlock(&turn);
	return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
	ssize_t done = -1;
	ready();
	if (!stands_for(fd))
		return real_pwrite(fd, bytes, length, offset);
	if (may_write(fd, offset, length))
		done = real_pwrite(fd, bytes, length, offset);
	pthread_mutex_unlock(&turn);
	return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	return pwrite64(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	ssize_t done = -1;
	size_t length = 0;
	int at;
	ready();
	if (!stands_for(fd))
		return real_writev(fd, parts, count);
	for (at = 0; at < count; at++)
		length += parts[at].iov_len;
	if (may_write(fd, position(fd), length))
		done = real_writev(fd, parts, count);
	pthread_mutex_unlock(&turn);
	return done;
}

int ftruncate64(int fd, off_t length)
{
	struct stat file;
	int done = -1;
	ready();
	if (!stands_for(fd))
		return real_ftruncate(fd, length);
	if (fstat(fd, &file) != 0)
		return -1;
	if (may_write(fd, length, file.st_size > length ? (size_t)(file.st_size - length) : 0))
		done = real_ftruncate(fd, length);
	pthread_mutex_unlock(&turn);
	return done;
}

int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

/* What is to be synced was written by now, and will not be synced. */
static void stay(void)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/held", undo);
	real_close(real_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	for (;;)
		pause();
}

static int sync_with(int fd, int (*real)(int))
{
	int done = -1;

	if (!stands_for(fd))
		return real(fd);
	pthread_mutex_lock(&turn);
	if (fails("hold"))
		stay();
	/* In this order: what SIGKILL finds half synced is not synced. */
	if (!fails("sync") && (done = real(fd)) == 0) {
		if (stands_for(fd) == DIRECTORY)
			forget_names();
		else
			forget(fd);
	}
	pthread_mutex_unlock(&turn);
	return done;
}

int fsync(int fd)
{
	ready();
	return sync_with(fd, real_fsync);
}

int fdatasync(int fd)
{
	ready();
	return sync_with(fd, real_fdatasync);
}

int unlink(const char *path)
{
	const char *name;
	char saved[64];
	int done;
	ready();
	if (!(name = name_in(path)) || is_memory(name))
		return real_unlink(path);
	pthread_mutex_lock(&turn);
	save(path, saved, sizeof saved);
	if (saved[0])
		keep_name("removed", name, "", saved);
	done = real_unlink(path);
	pthread_mutex_unlock(&turn);
	return done;
}

int rename(const char *from, const char *to)
{
	const char *name, *other;
	char saved[64];
	int done;
	ready();
	name = name_in(from), other = name_in(to);
	if (!name || !other)
		return real_rename(from, to);
	pthread_mutex_lock(&turn);
	save(to, saved, sizeof saved);
	keep_name("renamed", name, other, saved);
	done = real_rename(from, to);
	pthread_mutex_unlock(&turn);
	return done;
}
