//! Tables: all three key models, range partitions by year, one to three replicas.

/// A table of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    /// The CREATE TABLE statement, without a database name.
    pub create: String,
}

/// Years whose partitions exist from the start; the data ends in 1998.
const FIRST_YEARS: std::ops::RangeInclusive<i32> = 1992..=1996;
/// Years whose partitions are added while the job runs.
pub const YEARS_ADDED: [i32; 2] = [1997, 1998];

/// The partition of a year.
fn partition_name(year: i32) -> String {
    format!("y{year}")
}

/// `ALTER TABLE … ADD PARTITION` for a year.
pub fn add_partition(table: &str, year: i32) -> String {
    format!("ALTER TABLE {table} ADD PARTITION {}", range(year))
}

fn range(year: i32) -> String {
    format!("{} VALUES [(\"{year}-01-01\"), (\"{}-01-01\"))", partition_name(year), year + 1)
}

fn by_year(column: &str) -> String {
    let ranges: Vec<String> = FIRST_YEARS.map(|year| format!("PARTITION {}", range(year))).collect();
    format!("PARTITION BY RANGE({column}) (\n  {}\n)\n", ranges.join(",\n  "))
}

/// Puts a CREATE TABLE together.
fn table(
    name: &'static str,
    columns: &str,
    key: &str,
    partitions: &str,
    distribution: &str,
    replicas: u8,
) -> Table {
    let create = format!(
        "CREATE TABLE {name} (\n  {columns}\n) ENGINE=OLAP\n{key}\n{partitions}DISTRIBUTED BY {distribution}\n\
         PROPERTIES (\"replication_num\" = \"{replicas}\", \"binlog.enable\" = \"true\")"
    );
    Table { name, create }
}

/// The tables that exist before the job.
pub fn initial_tables() -> Vec<Table> {
    vec![
        table(
            "region",
            "r_regionkey INT NOT NULL, r_name VARCHAR(25) NOT NULL, r_comment VARCHAR(152)",
            "DUPLICATE KEY(r_regionkey)",
            "",
            "HASH(r_regionkey) BUCKETS 1",
            3,
        ),
        table(
            "nation",
            "n_nationkey INT NOT NULL, n_name VARCHAR(25) NOT NULL, n_regionkey INT NOT NULL, \
             n_comment VARCHAR(152)",
            "DUPLICATE KEY(n_nationkey)",
            "",
            "HASH(n_nationkey) BUCKETS 1",
            3,
        ),
        table(
            "supplier",
            "s_suppkey INT NOT NULL, s_name VARCHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL, \
             s_nationkey INT NOT NULL, s_phone VARCHAR(15) NOT NULL, s_acctbal DECIMAL(15, 2) NOT NULL, \
             s_comment VARCHAR(101)",
            "UNIQUE KEY(s_suppkey)",
            "",
            "HASH(s_suppkey) BUCKETS 1",
            2,
        ),
        table(
            "customer",
            "c_custkey INT NOT NULL, c_name VARCHAR(25) NOT NULL, c_address VARCHAR(40) NOT NULL, \
             c_nationkey INT NOT NULL, c_phone VARCHAR(15) NOT NULL, c_acctbal DECIMAL(15, 2) NOT NULL, \
             c_mktsegment VARCHAR(10) NOT NULL, c_comment VARCHAR(117)",
            "UNIQUE KEY(c_custkey)",
            "",
            "HASH(c_custkey) BUCKETS 3",
            2,
        ),
        table(
            "part",
            "p_partkey INT NOT NULL, p_name VARCHAR(55) NOT NULL, p_mfgr VARCHAR(25) NOT NULL, \
             p_brand VARCHAR(10) NOT NULL, p_type VARCHAR(25) NOT NULL, p_size INT NOT NULL, \
             p_container VARCHAR(10) NOT NULL, p_retailprice DECIMAL(15, 2) NOT NULL, p_comment VARCHAR(23)",
            "UNIQUE KEY(p_partkey)",
            "",
            "HASH(p_partkey) BUCKETS 2",
            1,
        ),
        table(
            "partsupp",
            "ps_partkey INT NOT NULL, ps_suppkey INT NOT NULL, ps_availqty INT NOT NULL, \
             ps_supplycost DECIMAL(15, 2) NOT NULL, ps_comment VARCHAR(199)",
            "UNIQUE KEY(ps_partkey, ps_suppkey)",
            "",
            "HASH(ps_partkey) BUCKETS 2",
            1,
        ),
        table(
            "orders",
            "o_orderkey BIGINT NOT NULL, o_custkey INT NOT NULL, o_orderstatus VARCHAR(1) NOT NULL, \
             o_totalprice DECIMAL(15, 2) NOT NULL, o_orderdate DATE NOT NULL, \
             o_orderpriority VARCHAR(15) NOT NULL, o_clerk VARCHAR(15) NOT NULL, \
             o_shippriority INT NOT NULL, o_comment VARCHAR(79)",
            "DUPLICATE KEY(o_orderkey)",
            &by_year("o_orderdate"),
            "HASH(o_orderkey) BUCKETS 2",
            2,
        ),
        table(
            "lineitem",
            "l_orderkey BIGINT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL, \
             l_linenumber INT NOT NULL, l_quantity DECIMAL(15, 2) NOT NULL, \
             l_extendedprice DECIMAL(15, 2) NOT NULL, l_discount DECIMAL(15, 2) NOT NULL, \
             l_tax DECIMAL(15, 2) NOT NULL, l_returnflag VARCHAR(1) NOT NULL, \
             l_linestatus VARCHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, \
             l_receiptdate DATE NOT NULL, l_shipinstruct VARCHAR(25) NOT NULL, \
             l_shipmode VARCHAR(10) NOT NULL, l_comment VARCHAR(44)",
            "DUPLICATE KEY(l_orderkey)",
            &by_year("l_shipdate"),
            "HASH(l_orderkey) BUCKETS 3",
            1,
        ),
        table(
            "sales_by_nation",
            "sn_nationkey INT NOT NULL, sn_status VARCHAR(1) NOT NULL, sn_orders BIGINT SUM, \
             sn_revenue DECIMAL(27, 2) SUM, sn_largest DECIMAL(15, 2) MAX, sn_first DATE MIN",
            "AGGREGATE KEY(sn_nationkey, sn_status)",
            "",
            "HASH(sn_nationkey) BUCKETS 2",
            2,
        ),
        table(
            "staging",
            "st_key BIGINT NOT NULL, st_note VARCHAR(64)",
            "DUPLICATE KEY(st_key)",
            "",
            "HASH(st_key) BUCKETS 1",
            1,
        ),
    ]
}

/// A table that is created while the job runs.
pub fn late_table() -> Table {
    table(
        "returned_items",
        "ri_orderkey BIGINT NOT NULL, ri_linenumber INT NOT NULL, ri_price DECIMAL(15, 2), ri_shipdate DATE",
        "UNIQUE KEY(ri_orderkey, ri_linenumber)",
        "",
        "HASH(ri_orderkey) BUCKETS 2",
        3,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_key_models_and_years_are_there() {
        let all: String = initial_tables().iter().map(|table| table.create.as_str()).collect();
        for part in ["DUPLICATE KEY", "UNIQUE KEY", "AGGREGATE KEY", "PARTITION y1992", "PARTITION y1996"] {
            assert!(all.contains(part), "{part}");
        }
        assert!(!all.contains("y1997"), "later years are added while the job runs");
        assert_eq!(
            add_partition("orders", 1997),
            "ALTER TABLE orders ADD PARTITION y1997 VALUES [(\"1997-01-01\"), (\"1998-01-01\"))"
        );
    }
}
