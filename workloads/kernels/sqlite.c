/* A large real program: SQLite on a database in memory. Unlike the other kernels it is linked with
 * wasi-libc, but nothing in it needs the operating system: the VFS below has no files. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

enum { ROWS_PER_ROUND = 50 };

static const char *const queries[] = {
    "SELECT count(*), sum(b), max(c) FROM t WHERE b BETWEEN 100 AND 5000",
    "SELECT b % 10, count(*), avg(a) FROM t GROUP BY 1 ORDER BY 2 DESC",
    "UPDATE t SET c = c || 'x' WHERE a % 3 = 0",
    "SELECT x.a, y.a FROM t x JOIN t y ON x.b = y.b + 1 WHERE x.a < 200 ORDER BY x.c LIMIT 20",
    "DELETE FROM t WHERE b % 2 = 0",
    "SELECT length(group_concat(c)) FROM t WHERE c LIKE '%9x'",
};

static int add_to_checksum(void *checksum, int columns, char **values, char **names) {
    (void)names;
    for (int i = 0; i < columns; i++)
        for (const char *c = values[i] ? values[i] : ""; *c; c++)
            *(uint32_t *)checksum = *(uint32_t *)checksum * 31 + (unsigned char)*c;
    return 0;
}

static void check(int result) {
    if (result != SQLITE_OK && result != SQLITE_DONE)
        __builtin_trap();
}

static void fill(sqlite3 *db, uint32_t rows) {
    sqlite3_stmt *insert;
    check(sqlite3_exec(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT); CREATE INDEX i ON t(b); BEGIN",
                       NULL, NULL, NULL));
    check(sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?, ?, ?)", -1, &insert, NULL));
    for (uint32_t row = 0; row < rows; row++) {
        char text[64];
        int length = snprintf(text, sizeof text, "row %u text %u", (unsigned)row, (unsigned)(row * row));
        check(sqlite3_bind_int64(insert, 1, row));
        check(sqlite3_bind_int64(insert, 2, row * 7919 % 10007));
        check(sqlite3_bind_text(insert, 3, text, length, SQLITE_TRANSIENT));
        check(sqlite3_step(insert));
        check(sqlite3_reset(insert));
    }
    check(sqlite3_finalize(insert));
    check(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
}

KERNEL(rounds) {
    sqlite3 *db;
    uint32_t checksum = 0;
    check(sqlite3_open(":memory:", &db));
    fill(db, rounds * ROWS_PER_ROUND);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        check(sqlite3_exec(db, queries[i], add_to_checksum, &checksum, NULL));
    check(sqlite3_close(db));
    return checksum;
}

/* --- SQLITE_OS_OTHER: an operating system without files, with a constant clock and no randomness --- */

static int no_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    (void)vfs, (void)name, (void)file, (void)flags, (void)out;
    return SQLITE_CANTOPEN;
}
static int nothing_to_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs, (void)name, (void)sync;
    return SQLITE_OK;
}
static int not_there(sqlite3_vfs *vfs, const char *name, int flags, int *there) {
    (void)vfs, (void)name, (void)flags;
    *there = 0;
    return SQLITE_OK;
}
static int same_name(sqlite3_vfs *vfs, const char *name, int size, char *out) {
    (void)vfs;
    strncpy(out, name, (size_t)size);
    return SQLITE_OK;
}
static int constant_bytes(sqlite3_vfs *vfs, int size, char *out) {
    (void)vfs;
    memset(out, 7, (size_t)size);
    return size;
}
static int no_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return microseconds;
}
static int constant_time(sqlite3_vfs *vfs, double *julian_day) {
    (void)vfs;
    *julian_day = 2460000.5;
    return SQLITE_OK;
}
static int no_error(sqlite3_vfs *vfs, int size, char *out) {
    (void)vfs, (void)size, (void)out;
    return 0;
}

int sqlite3_os_init(void) {
    static sqlite3_vfs vfs = {
        .iVersion = 1,
        .szOsFile = sizeof(sqlite3_file),
        .mxPathname = 256,
        .zName = "none",
        .xOpen = no_file,
        .xDelete = nothing_to_delete,
        .xAccess = not_there,
        .xFullPathname = same_name,
        .xRandomness = constant_bytes,
        .xSleep = no_sleep,
        .xCurrentTime = constant_time,
        .xGetLastError = no_error,
    };
    return sqlite3_vfs_register(&vfs, 1);
}

int sqlite3_os_end(void) {
    return SQLITE_OK;
}
