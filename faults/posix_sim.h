/* posix_sim.h (private): the simulated calls, which posix_calls.def names. Included by
 * posix_layer.h only. sim_ functions: lock held; a result or -errno. whole_ functions: made of
 * interposed calls, without the lock; they answer as libc does. */
#ifndef FAULTS_POSIX_SIM_H
#define FAULTS_POSIX_SIM_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct stat;
struct statx;
struct statfs;
struct statvfs;
struct iovec;

/* posix_open.c */
long sim_openat(int dirfd, const char *path, int flags);
long sim_reopen(int fd, int flags); /* the same file once more */
int whole_mkstemp(char *template, int suffix, int flags);
char *whole_mkdtemp(char *template);
void open_restart(void); /* the numbers of temporary names */

/* posix_fd.c */
long sim_close(int fd);
long sim_dup(int fd, int low, bool cloexec);
long sim_dup2(int fd, int to, int flags, bool same_ok);
long sim_fcntl(int fd, int command, void *arg);
long sim_ioctl(int fd, unsigned long request);
int whole_close_range(unsigned first, unsigned last, int flags);

/* posix_lock.c */
long sim_flock(int fd, int operation);
long sim_lockf(int fd, int command, off_t len);

/* posix_cwd.c */
long sim_chdir(const char *path);
long sim_fchdir(int fd);
long sim_getcwd(char *buf, size_t size);

/* posix_io.c */
long sim_read(int fd, void *buf, size_t size);
long sim_write(int fd, const void *buf, size_t size);
long sim_pread(int fd, void *buf, size_t size, off_t at);
long sim_pwrite(int fd, const void *buf, size_t size, off_t at);
long sim_readv(int fd, const struct iovec *iov, int count, off_t at, int flags);
long sim_writev(int fd, const struct iovec *iov, int count, off_t at, int flags);
long sim_lseek(int fd, off_t offset, int whence);
long sim_truncate(const char *path, off_t size);
long sim_ftruncate(int fd, off_t size);
long sim_fallocate(int fd, int mode, off_t at, off_t size);
long sim_readahead(int fd);
long sim_fsync(int fd, bool data_only);
long sim_sync_file_range(int fd, off_t at, off_t size, unsigned flags);
long sim_syncfs(int fd);
int whole_posix_fallocate(int fd, off_t at, off_t size);
int whole_posix_fadvise(int fd, int advice);
ssize_t whole_sendfile(int out, int in, off_t *at, size_t size);
ssize_t whole_copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t size,
                              unsigned flags);

/* posix_names.c */
long sim_renameat(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
long sim_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
long sim_unlinkat(int dirfd, const char *path, int flags);
long sim_remove(const char *path);
long sim_mkdirat(int dirfd, const char *path);
long sim_symlinkat(const char *target, int dirfd, const char *path);
long sim_readlinkat(int dirfd, const char *path, char *buf, size_t size);
long sim_realpath(const char *path, char *resolved);

/* posix_stat.c */
long sim_fstat(int fd, struct stat *st);
long sim_fstatat(int dirfd, const char *path, struct stat *st, int flags);
long sim_statx(int dirfd, const char *path, int flags, struct statx *st);
long sim_statfs(const char *path, int fd, struct statfs *st);
long sim_statvfs(const char *path, int fd, struct statvfs *st);
long sim_faccessat(int dirfd, const char *path, int mode, int flags);
long sim_accept(int fd);
long sim_accept_at(int dirfd, const char *path, int flags);
long sim_fchmodat(int dirfd, const char *path, int flags);
long sim_utimensat(int dirfd, const char *path, int flags);
long sim_xattr(const char *path, int fd, int flags);
long sim_pathconf(const char *path, int fd, int name);

/* posix_dir.c */
long sim_opendir(const char *path);
long sim_fdopendir(int fd);
long sim_readdir(DIR *dir);
long sim_rewinddir(DIR *dir);
long sim_seekdir(DIR *dir, long at);
long sim_telldir(DIR *dir);
long sim_dirfd(DIR *dir);
long sim_closedir(DIR *dir);
int whole_readdir_r(DIR *dir, struct dirent *entry, struct dirent **result);

/* posix_walk.c */
int whole_scandir(int dirfd, const char *path, struct dirent ***list, entry_filter *keep,
                  entry_order *order);
int whole_ftw(const char *path, ftw_visitor *visit);
int whole_nftw(const char *path, nftw_visitor *visit, int flags);
int whole_glob(const char *pattern, int flags, int (*failed)(const char *, int), glob_t *out);

/* posix_map.c */
long sim_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t at);
long sim_munmap(void *addr, size_t size);
long sim_mprotect(void *addr, size_t size, int prot);
long sim_msync(void *addr, size_t size, int flags);
long sim_mremap(void *addr, size_t size, size_t to, int flags, void *to_addr);

/* posix_stdio.c */
long sim_fopen(const char *path, const char *mode);
long sim_fdopen(int fd, const char *mode);
long sim_fileno(FILE *file);
FILE *whole_freopen(const char *path, const char *mode, FILE *file);

#endif
