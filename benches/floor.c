/* The lower bound of a refresh: its system calls, and nothing else.
 *
 *   floor unchanged SITE INDEX          one listing, one stat a distribution, reading INDEX
 *   floor incremental SITE NAME INDEX   one listing, one stat a distribution, reading NAME,
 *                                       reading INDEX, writing the new one, rename
 *   floor thorough SITE NAME INDEX      the same with a stat of each metadata file, too
 *   floor full SITE INDEX               one listing, one stat a distribution, opening and reading the
 *                                       metadata and the entry points of each, top_level.txt or else
 *                                       RECORD and a stat of a file named there, writing, rename
 *
 * Nothing is parsed, sorted, compared or verified, and each file is opened by its path from SITE. The
 * bytes written are those of INDEX as it is (of its length alone, for `full`, which has not read it).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST = 32 << 20 };
static char buffer[LARGEST];
static int site;

static int has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), of_suffix = strlen(suffix);
	return length >= of_suffix && strcasecmp(name + length - of_suffix, suffix) == 0;
}

static void path_within(char path[static 600], const char *name, const char *file)
{
	if (snprintf(path, 600, "%s/%s", name, file) >= 600)
		errx(2, "%s: too long", name);
}

static const char *metadata_file(const char *name)
{
	return has_suffix(name, ".egg-info") ? "PKG-INFO" : "METADATA";
}

/* One read returns all of a regular file, as nobody shortens it. */
static ssize_t read_file(int directory, const char *path)
{
	int file = openat(directory, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	ssize_t length = read(file, buffer, LARGEST);
	if (length < 0)
		err(2, "%s", path);
	close(file);
	return length;
}

/* The importable names: declared ones, or else those of a listed file that exists. A file directly
 * in SITE needs no check, since SITE has been listed. */
static void read_top_level(const char *name)
{
	char path[600];
	struct stat stat;
	path_within(path, name, "top_level.txt");
	if (read_file(site, path) >= 0)
		return;
	path_within(path, name, "RECORD");
	ssize_t length = read_file(site, path);
	size_t end = 0;
	while (length > 0 && end < (size_t)length && end < sizeof path - 1 && buffer[end] != ',')
		end++;
	memcpy(path, buffer, end);
	path[end] = 0;
	if (strchr(path, '/') && fstatat(site, path, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		err(2, "%s", path);
}

static void read_distribution(const char *name, int is_directory)
{
	char path[600];
	ssize_t length;
	if (is_directory) {
		path_within(path, name, metadata_file(name));
		length = read_file(site, path);
		path_within(path, name, "entry_points.txt");
		read_file(site, path);
		read_top_level(name);
	} else {
		length = read_file(site, name);
	}
	if (length < 0)
		err(2, "%s", name);
}

static void replace(const char *index, size_t length)
{
	char temporary[4096];
	if (snprintf(temporary, sizeof temporary, "%s.new", index) >= (int)sizeof temporary)
		errx(2, "%s: too long", index);
	int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file < 0 || write(file, buffer, length) != (ssize_t)length || close(file) < 0)
		err(2, "%s", temporary);
	if (rename(temporary, index) < 0)
		err(2, "%s", index);
}

int main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "";
	int full = strcmp(mode, "full") == 0, thorough = strcmp(mode, "thorough") == 0;
	int unchanged = strcmp(mode, "unchanged") == 0;
	if (!full && !thorough && !unchanged && strcmp(mode, "incremental") != 0)
		errx(2, "unknown mode");
	if (count != (full || unchanged ? 4 : 5))
		errx(2, "wrong number of arguments");
	const char *index = arguments[count - 1];

	site = open(arguments[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = site < 0 ? NULL : fdopendir(site);
	if (!listing)
		err(2, "%s", arguments[2]);
	for (struct dirent *entry; (entry = readdir(listing));) {
		const char *name = entry->d_name;
		if (!has_suffix(name, ".dist-info") && !has_suffix(name, ".egg-info"))
			continue;
		struct stat stat;
		if (fstatat(site, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
			err(2, "%s", name);
		if (full)
			read_distribution(name, S_ISDIR(stat.st_mode));
		if (thorough && S_ISDIR(stat.st_mode)) {
			char path[600];
			path_within(path, name, metadata_file(name));
			fstatat(site, path, &stat, AT_SYMLINK_NOFOLLOW);
			path_within(path, name, "entry_points.txt");
			fstatat(site, path, &stat, AT_SYMLINK_NOFOLLOW);
			path_within(path, name, "top_level.txt");
			if (fstatat(site, path, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
				path_within(path, name, "RECORD");
				fstatat(site, path, &stat, AT_SYMLINK_NOFOLLOW);
			}
		}
	}
	if (full) {
		struct stat stat;
		if (lstat(index, &stat) < 0 || stat.st_size > LARGEST)
			err(2, "%s", index);
		replace(index, (size_t)stat.st_size);
	} else if (unchanged) {
		if (read_file(AT_FDCWD, index) < 0)
			err(2, "%s", index);
	} else {
		read_distribution(arguments[3], 1);
		ssize_t length = read_file(AT_FDCWD, index);
		if (length < 0)
			err(2, "%s", index);
		replace(index, (size_t)length);
	}
	return 0;
}
