/* sqlite [ROWS [DATABASE]]: fills a database file, changes it and queries it, with the progress and
 * a digest of every result on standard output. SQLite keeps its rollback journal beside the file. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 1000, CUSTOMERS = 500 };

static sqlite3 *db;

static void check(int result, const char *doing) {
    if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW)
        return;
    fprintf(stderr, "sqlite: %s: %s\n", doing, db ? sqlite3_errmsg(db) : sqlite3_errstr(result));
    exit(1);
}

static void execute(const char *sql) {
    check(sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), sql);
    return statement;
}

static void report(const char *progress) {
    puts(progress);
    fflush(stdout);
}

/* xorshift64: the same orders in every run. */
static uint64_t next_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void create_tables(void) {
    execute("DROP TABLE IF EXISTS orders; DROP TABLE IF EXISTS customers;"
            "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers,"
            "  cents INTEGER NOT NULL, note TEXT)");
    sqlite3_stmt *insert = prepare("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                                   "INSERT INTO customers SELECT i, printf('customer %04d', i) FROM n");
    check(sqlite3_bind_int(insert, 1, CUSTOMERS), "bind");
    check(sqlite3_step(insert), "insert");
    check(sqlite3_finalize(insert), "insert");
    report("created the tables");
}

/* A transaction per batch: each writes, syncs and deletes a journal. */
static void insert_orders(long rows) {
    sqlite3_stmt *insert = prepare("INSERT INTO orders VALUES(?, ?, ?, hex(?))");
    for (long row = 1; row <= rows; row++) {
        if (row % BATCH == 1)
            execute("BEGIN");
        uint64_t random = next_random();
        check(sqlite3_bind_int64(insert, 1, row), "bind");
        check(sqlite3_bind_int64(insert, 2, (sqlite3_int64)(random % CUSTOMERS) + 1), "bind");
        check(sqlite3_bind_int64(insert, 3, (sqlite3_int64)(random >> 32 & 0xffff)), "bind");
        check(sqlite3_bind_blob(insert, 4, &random, sizeof random, SQLITE_TRANSIENT), "bind");
        check(sqlite3_step(insert), "insert");
        check(sqlite3_reset(insert), "insert");
        if (row % BATCH == 0 || row == rows) {
            execute("COMMIT");
            printf("inserted %ld orders\n", row);
            fflush(stdout);
        }
    }
    check(sqlite3_finalize(insert), "insert");
}

static void change_orders(void) {
    execute("CREATE INDEX orders_by_customer ON orders(customer)");
    report("created the index");
    execute("UPDATE orders SET note = note || ' (large)' WHERE cents > 60000");
    report("marked the large orders");
    execute("BEGIN; DELETE FROM orders WHERE customer % 2 = 0; ROLLBACK");
    report("deleted half of the orders and rolled back");
    execute("DELETE FROM orders WHERE cents < 1000");
    report("deleted the small orders");
    execute("VACUUM");
    report("vacuumed");
}

/* Prints the number of rows and the FNV-1a hash of all values, in order. */
static void query(const char *sql) {
    uint64_t hash = 0xcbf29ce484222325u;
    long rows = 0;
    int result;
    sqlite3_stmt *select = prepare(sql);
    for (; (result = sqlite3_step(select)) == SQLITE_ROW; rows++)
        for (int column = 0; column < sqlite3_column_count(select); column++) {
            const unsigned char *text = sqlite3_column_text(select, column);
            for (; text && *text; text++)
                hash = (hash ^ *text) * 0x100000001b3u;
        }
    check(result, sql);
    check(sqlite3_finalize(select), sql);
    printf("%016" PRIx64 " %6ld rows: %s\n", hash, rows, sql);
    fflush(stdout);
}

int main(int argc, char **argv) {
    char *end = "";
    long rows = argc > 1 ? strtol(argv[1], &end, 10) : 40000;
    const char *file = argc > 2 ? argv[2] : "orders.db";
    if (argc > 3 || *end || rows < 0) {
        fprintf(stderr, "usage: sqlite [ROWS [DATABASE]]\n");
        return 2;
    }

    printf("SQLite %s\n", sqlite3_libversion());
    check(sqlite3_open(file, &db), file);
    create_tables();
    insert_orders(rows);
    change_orders();
    query("SELECT * FROM orders ORDER BY id");
    query("SELECT name, count(*), sum(cents) FROM orders JOIN customers ON customer = customers.id GROUP BY name");
    query("SELECT cents / 10000, count(*), avg(cents) FROM orders GROUP BY 1 ORDER BY 2 DESC, 1");
    query("SELECT a.id, b.id FROM orders a JOIN orders b ON b.customer = a.customer AND b.cents = a.cents + 1 "
          "ORDER BY a.id, b.id");
    query("PRAGMA integrity_check");
    check(sqlite3_close(db), "close");
    return 0;
}
