//! Queries of the benchmark, with fixed parameters and plain date literals.
//!
//! Sums stay decimals and averages are left out, so that a result does not depend on the order in which a
//! side adds its rows up.

/// One query.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    pub name: &'static str,
    pub sql: &'static str,
}

/// The queries that are run on both sides.
pub fn queries() -> [Query; 6] {
    [
        Query {
            name: "Q1 pricing summary",
            sql: "SELECT l_returnflag, l_linestatus, SUM(l_quantity) AS sum_qty, \
                  SUM(l_extendedprice) AS sum_base_price, COUNT(*) AS count_order \
                  FROM lineitem WHERE l_shipdate <= '1998-09-02' \
                  GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
        },
        Query {
            name: "Q3 shipping priority",
            sql: "SELECT l_orderkey, SUM(l_extendedprice) AS revenue, o_orderdate, o_shippriority \
                  FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey \
                  WHERE c_mktsegment = 'BUILDING' AND o_orderdate < '1995-03-15' AND l_shipdate > '1995-03-15' \
                  GROUP BY l_orderkey, o_orderdate, o_shippriority \
                  ORDER BY revenue DESC, o_orderdate, l_orderkey LIMIT 10",
        },
        Query {
            name: "Q4 order priority",
            sql: "SELECT o_orderpriority, COUNT(*) AS order_count FROM orders \
                  WHERE o_orderdate >= '1996-07-01' AND o_orderdate < '1996-10-01' AND EXISTS ( \
                  SELECT 1 FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate) \
                  GROUP BY o_orderpriority ORDER BY o_orderpriority",
        },
        Query {
            name: "Q5 local suppliers",
            sql: "SELECT n_name, COUNT(*) AS lines, SUM(l_extendedprice) AS revenue \
                  FROM customer JOIN orders ON c_custkey = o_custkey \
                  JOIN lineitem ON l_orderkey = o_orderkey \
                  JOIN supplier ON l_suppkey = s_suppkey AND c_nationkey = s_nationkey \
                  JOIN nation ON s_nationkey = n_nationkey JOIN region ON n_regionkey = r_regionkey \
                  WHERE r_name = 'ASIA' GROUP BY n_name ORDER BY n_name",
        },
        Query {
            name: "Q10 returned items",
            sql: "SELECT c_custkey, c_name, SUM(l_extendedprice) AS revenue, c_acctbal, n_name \
                  FROM customer JOIN orders ON c_custkey = o_custkey \
                  JOIN lineitem ON l_orderkey = o_orderkey JOIN nation ON c_nationkey = n_nationkey \
                  WHERE o_orderdate >= '1993-10-01' AND o_orderdate < '1994-01-01' AND l_returnflag = 'R' \
                  GROUP BY c_custkey, c_name, c_acctbal, n_name ORDER BY revenue DESC, c_custkey LIMIT 20",
        },
        Query {
            name: "Q12 shipping modes",
            sql: "SELECT l_shipmode, \
                  SUM(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) \
                  AS high_line_count, COUNT(*) AS line_count \
                  FROM orders JOIN lineitem ON o_orderkey = l_orderkey \
                  WHERE l_commitdate < l_receiptdate AND l_shipdate < l_commitdate \
                  GROUP BY l_shipmode ORDER BY l_shipmode",
        },
    ]
}
