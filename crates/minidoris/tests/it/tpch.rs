//! The queries of TPC-H over generated rows that came by stream load.

use std::fmt::Display;

use minidoris::{Cluster, ClusterOptions};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen::q_and_a::queries;

use crate::harness::bounded;

const SCALE: f64 = 0.001;

const TABLES: [(&str, &str, &str); 8] = [
    (
        "region",
        "r_regionkey int not null, r_name varchar(25) not null, r_comment varchar(152)",
        "r_regionkey",
    ),
    (
        "nation",
        "n_nationkey int not null, n_name varchar(25) not null, n_regionkey int not null, n_comment varchar(152)",
        "n_nationkey",
    ),
    (
        "supplier",
        "s_suppkey int not null, s_name varchar(25), s_address varchar(40), s_nationkey int, s_phone varchar(15), \
         s_acctbal decimal(15,2), s_comment varchar(101)",
        "s_suppkey",
    ),
    (
        "customer",
        "c_custkey int not null, c_name varchar(25), c_address varchar(40), c_nationkey int, c_phone varchar(15), \
         c_acctbal decimal(15,2), c_mktsegment varchar(10), c_comment varchar(117)",
        "c_custkey",
    ),
    (
        "part",
        "p_partkey int not null, p_name varchar(55), p_mfgr varchar(25), p_brand varchar(10), p_type varchar(25), \
         p_size int, p_container varchar(10), p_retailprice decimal(15,2), p_comment varchar(23)",
        "p_partkey",
    ),
    (
        "partsupp",
        "ps_partkey int not null, ps_suppkey int not null, ps_availqty int, ps_supplycost decimal(15,2), \
         ps_comment varchar(199)",
        "ps_partkey, ps_suppkey",
    ),
    (
        "orders",
        "o_orderkey bigint not null, o_custkey int, o_orderstatus varchar(1), o_totalprice decimal(15,2), \
         o_orderdate date, o_orderpriority varchar(15), o_clerk varchar(15), o_shippriority int, \
         o_comment varchar(79)",
        "o_orderkey",
    ),
    (
        "lineitem",
        "l_orderkey bigint not null, l_partkey int, l_suppkey int, l_linenumber int, l_quantity decimal(15,2), \
         l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2), l_returnflag varchar(1), \
         l_linestatus varchar(1), l_shipdate date, l_commitdate date, l_receiptdate date, \
         l_shipinstruct varchar(25), l_shipmode varchar(10), l_comment varchar(44)",
        "l_orderkey",
    ),
];

/// The validation parameters of the queries, in order.
const PARAMETERS: [&[&str]; 22] = [
    &["90"],
    &["15", "BRASS", "EUROPE"],
    &["BUILDING", "1995-03-15"],
    &["1993-07-01"],
    &["ASIA", "1994-01-01"],
    &["1994-01-01", ".06", "24"],
    &["FRANCE", "GERMANY"],
    &["BRAZIL", "AMERICA", "ECONOMY ANODIZED STEEL"],
    &["green"],
    &["1993-10-01"],
    &["GERMANY", "0.0001"],
    &["MAIL", "SHIP", "1994-01-01"],
    &["special", "requests"],
    &["1995-09-01"],
    &["1996-01-01"],
    &["Brand#45", "MEDIUM POLISHED", "49", "14", "23", "45", "19", "3", "36", "9"],
    &["Brand#23", "MED BOX"],
    &["300"],
    &["Brand#12", "Brand#23", "Brand#34", "1", "10", "20"],
    &["forest", "1994-01-01", "CANADA"],
    &["SAUDI ARABIA"],
    &["13", "31", "23", "29", "30", "18", "17"],
];

fn query(number: i32, parameters: &[&str]) -> String {
    let mut text = queries::query(number).unwrap().replace(":s", "0").replace(" day (3)", " day");
    // The longest numbers first: `:10` is not `:1`.
    for (at, value) in parameters.iter().enumerate().rev() {
        text = text.replace(&format!(":{}", at + 1), value);
    }
    text
}

fn body<T: Display>(rows: impl Iterator<Item = T>) -> String {
    rows.map(|row| format!("{row}\n")).collect()
}

fn rows_of(table: &str) -> String {
    match table {
        "region" => body(RegionGenerator::new(SCALE, 1, 1).iter()),
        "nation" => body(NationGenerator::new(SCALE, 1, 1).iter()),
        "supplier" => body(SupplierGenerator::new(SCALE, 1, 1).iter()),
        "customer" => body(CustomerGenerator::new(SCALE, 1, 1).iter()),
        "part" => body(PartGenerator::new(SCALE, 1, 1).iter()),
        "partsupp" => body(PartSuppGenerator::new(SCALE, 1, 1).iter()),
        "orders" => body(OrderGenerator::new(SCALE, 1, 1).iter()),
        _ => body(LineItemGenerator::new(SCALE, 1, 1).iter()),
    }
}

async fn loaded() -> Cluster {
    let options = ClusterOptions { backends: 2, ..ClusterOptions::replicating("tpch") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    bounded(cluster.sql("CREATE DATABASE tpch")).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (table, columns, key) in TABLES {
        let sql = format!(
            "CREATE TABLE tpch.{table} ({columns}) DUPLICATE KEY({key}) DISTRIBUTED BY HASH({key}) BUCKETS 3 \
             PROPERTIES (\"replication_num\" = \"1\")"
        );
        bounded(cluster.sql(&sql)).await.unwrap();
        let names: Vec<&str> =
            columns.split(',').filter_map(|text| text.trim().split_once(' ')).map(|(name, _)| name).collect();
        // Lines end with a separator, so there is one field more; the digits of types are no columns.
        let names: Vec<&str> = names.into_iter().filter(|name| name.contains('_')).chain(["end"]).collect();
        let node = cluster.be(0);
        let url = format!("http://{}:{}/api/tpch/{table}/_stream_load", node.host, node.http_port);
        let request = client
            .put(url)
            .basic_auth("root", Some(""))
            .header("column_separator", "|")
            .header("columns", names.join(","))
            .body(rows_of(table));
        let answer: serde_json::Value =
            serde_json::from_str(&bounded(request.send()).await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(answer["Status"], "Success", "{table}: {answer}");
    }
    cluster
}

/// Reads `12.34` as 1234.
fn cents(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
    format!("{whole}{fraction:0<2}").parse().unwrap()
}

#[tokio::test]
async fn all_queries_run_and_sums_are_exact() {
    let cluster = loaded().await;
    for (at, parameters) in PARAMETERS.iter().enumerate() {
        let text = query(i32::try_from(at).unwrap() + 1, parameters);
        for statement in text.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let found = bounded(cluster.sql_in("tpch", statement)).await;
            found.unwrap_or_else(|error| panic!("Q{}: {error}", at + 1));
        }
    }

    // Q1 and Q6 again with integers.
    let mut groups: std::collections::BTreeMap<(String, String), [i128; 6]> = Default::default();
    let mut revenue = 0;
    for line in rows_of("lineitem").lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let (quantity, price) = (cents(fields[4]), cents(fields[5]));
        let (discount, tax) = (cents(fields[6]), cents(fields[7]));
        if ("1994-01-01".."1995-01-01").contains(&fields[10])
            && (5..=7).contains(&discount)
            && quantity < 2400
        {
            revenue += price * discount;
        }
        if fields[10] > "1998-09-02" {
            continue;
        }
        let sums = groups.entry((fields[8].to_owned(), fields[9].to_owned())).or_default();
        sums[0] += quantity;
        sums[1] += price;
        sums[2] += price * (100 - discount);
        sums[3] += price * (100 - discount) * (100 + tax);
        sums[4] += discount;
        sums[5] += 1;
    }
    let decimal = |number: i128, scale: u32| {
        let unit = 10i128.pow(scale);
        format!("{}.{:0width$}", number / unit, number % unit, width = scale as usize)
    };
    // An average with two more digits, rounded half up.
    let average = |sum: i128, count: i128| decimal((sum * 200 / count + 1) / 2, 4);
    let wanted: Vec<Vec<Option<String>>> = groups
        .into_iter()
        .map(|((flag, status), sums)| {
            let count = sums[5];
            let row = vec![
                flag,
                status,
                decimal(sums[0], 2),
                decimal(sums[1], 2),
                decimal(sums[2], 4),
                decimal(sums[3], 6),
                average(sums[0], count),
                average(sums[1], count),
                average(sums[4], count),
                count.to_string(),
            ];
            row.into_iter().map(Some).collect()
        })
        .collect();
    let q1 = query(1, PARAMETERS[0]);
    assert_eq!(bounded(cluster.sql_in("tpch", q1.trim_end_matches(';'))).await.unwrap().rows, wanted);
    let q6 = query(6, PARAMETERS[5]);
    let found = bounded(cluster.sql_in("tpch", q6.trim_end_matches(';'))).await.unwrap().rows;
    assert_eq!(found, [[Some(decimal(revenue, 4))]]);
    bounded(cluster.stop()).await;
}
