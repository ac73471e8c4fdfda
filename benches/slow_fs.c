/* A read-only view of a directory in which each request takes a time, as on a network file system.
 *
 *     slow_fs MICROSECONDS DIRECTORY
 *
 * Is mounted over DIRECTORY itself, so that all paths stay as they are. Attributes and names are kept for 3 s,
 * as NFS does by default (acregmin); data is kept as long as the file is the same. Needs libfuse 3 and root.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int top;
static long delay;

static void wait_a_request(void)
{
    struct timespec left = {delay / 1000000, delay % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* A path of FUSE begins with a slash; the top itself is "/". */
static const char *below_top(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int result(long done)
{
    return done < 0 ? -errno : (int)done;
}

static void *start(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->auto_cache = 1;
    config->attr_timeout = 3;
    config->entry_timeout = 3;
    config->negative_timeout = 3;
    return NULL;
}

static int get_attributes(const char *path, struct stat *found, struct fuse_file_info *file)
{
    (void)file;
    wait_a_request();
    return result(fstatat(top, below_top(path), found, AT_SYMLINK_NOFOLLOW));
}

static int read_link(const char *path, char *target, size_t size)
{
    wait_a_request();
    ssize_t length = readlinkat(top, below_top(path), target, size - 1);
    if (length < 0)
        return -errno;
    target[length] = 0;
    return 0;
}

static int list(const char *path, void *names, fuse_fill_dir_t add, off_t offset, struct fuse_file_info *file,
                enum fuse_readdir_flags flags)
{
    (void)offset, (void)file, (void)flags;
    wait_a_request();
    int opened = openat(top, below_top(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = opened < 0 ? NULL : fdopendir(opened);
    if (!directory)
        return -errno;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat kind = {.st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type)};
        add(names, entry->d_name, &kind, 0, 0);
    }
    closedir(directory);
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *file)
{
    wait_a_request();
    int opened = openat(top, below_top(path), O_RDONLY | O_CLOEXEC);
    file->fh = (uint64_t)opened;
    return opened < 0 ? -errno : 0;
}

static int read_file(const char *path, char *bytes, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)path;
    wait_a_request();
    return result(pread((int)file->fh, bytes, size, offset));
}

static int close_file(const char *path, struct fuse_file_info *file)
{
    (void)path;
    return result(close((int)file->fh));
}

static const struct fuse_operations OPERATIONS = {
    .init = start,
    .getattr = get_attributes,
    .readlink = read_link,
    .readdir = list,
    .open = open_file,
    .read = read_file,
    .release = close_file,
};

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: slow_fs MICROSECONDS DIRECTORY\n");
        return 2;
    }
    delay = atol(arguments[1]);
    top = open(arguments[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top < 0) {
        perror(arguments[2]);
        return 2;
    }
    char *options[] = {arguments[0], "-f", "-o", "ro,nosuid,nodev,allow_other,default_permissions", arguments[2], NULL};
    return fuse_main(5, options, &OPERATIONS, NULL);
}
