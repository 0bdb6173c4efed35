//! All records as one enum, and how to read and write it.

use serde::de::DeserializeOwned;

use super::{
    AddPartitionRecord, AlterDatabasePropertyRecord, AlterJobRecord, BarrierRecord, BinlogType,
    CreateTableRecord, DropPartitionRecord, DropRollupRecord, DropTableRecord, IndexChangeJobRecord,
    ModifyColumnsRecord, ModifyCommentRecord, ModifyDistributionBucketNumRecord, ModifyInvertedIndicesRecord,
    ModifyPartitionsRecord, ModifyTablePropertyRecord, ModifyViewDefRecord, RecordError, RecoverInfoRecord,
    RenameColumnRecord, RenameRecord, ReplacePartitionsRecord, ReplaceTableRecord, TruncateTableRecord,
    UpsertRecord, html_safe_json,
};

/// A binlog record of any type.
#[expect(clippy::large_enum_variant, reason = "records are handled one by one and soon dropped")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Upsert(UpsertRecord),
    AddPartition(AddPartitionRecord),
    CreateTable(CreateTableRecord),
    DropPartition(DropPartitionRecord),
    DropTable(DropTableRecord),
    AlterJob(AlterJobRecord),
    ModifyColumns(ModifyColumnsRecord),
    /// Stands in front of a list: everything up to its seq is gone.
    Dummy,
    AlterDatabaseProperty(AlterDatabasePropertyRecord),
    ModifyTableProperty(ModifyTablePropertyRecord),
    /// A plain barrier. A wrapping one is never seen here, [`Record::parse`] yields what it wraps.
    Barrier(BarrierRecord),
    ModifyPartitions(ModifyPartitionsRecord),
    ReplacePartitions(ReplacePartitionsRecord),
    TruncateTable(TruncateTableRecord),
    RenameTable(RenameRecord),
    RenameColumn(RenameColumnRecord),
    ModifyComment(ModifyCommentRecord),
    ModifyViewDef(ModifyViewDefRecord),
    ReplaceTable(ReplaceTableRecord),
    ModifyInvertedIndices(ModifyInvertedIndicesRecord),
    IndexChangeJob(IndexChangeJobRecord),
    RenameRollup(RenameRecord),
    RenamePartition(RenameRecord),
    DropRollup(DropRollupRecord),
    RecoverInfo(RecoverInfoRecord),
    ModifyDistributionBucketNum(ModifyDistributionBucketNumRecord),
    ModifyDistributionType(RenameRecord),
    /// A type of a newer FE; its data is not looked at.
    Unknown {
        binlog_type: BinlogType,
    },
}

impl Record {
    /// Reads the data of a binlog, unwrapping a BARRIER that carries another record.
    ///
    /// # Errors
    /// When the data is missing or has not the shape of its type. An unknown type is no error.
    pub fn parse(binlog_type: BinlogType, data: Option<&str>) -> Result<Self, RecordError> {
        if binlog_type != BinlogType::BARRIER {
            return Self::parse_plain(binlog_type, data);
        }
        let barrier: BarrierRecord = read(binlog_type, data)?;
        match barrier.binlog.as_deref().filter(|inner| !inner.is_empty()) {
            None => Ok(Self::Barrier(barrier)),
            Some(_) if barrier.binlog_type == BinlogType::BARRIER => Err(RecordError::NestedBarrier),
            Some(inner) => Self::parse_plain(barrier.binlog_type, Some(inner)),
        }
    }

    fn parse_plain(binlog_type: BinlogType, data: Option<&str>) -> Result<Self, RecordError> {
        Ok(match binlog_type {
            BinlogType::UPSERT => Self::Upsert(read(binlog_type, data)?),
            BinlogType::ADD_PARTITION => Self::AddPartition(read(binlog_type, data)?),
            BinlogType::CREATE_TABLE => Self::CreateTable(read(binlog_type, data)?),
            BinlogType::DROP_PARTITION => Self::DropPartition(read(binlog_type, data)?),
            BinlogType::DROP_TABLE => Self::DropTable(read(binlog_type, data)?),
            BinlogType::ALTER_JOB => Self::AlterJob(read(binlog_type, data)?),
            BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS => Self::ModifyColumns(read(binlog_type, data)?),
            BinlogType::DUMMY => Self::Dummy,
            BinlogType::ALTER_DATABASE_PROPERTY => Self::AlterDatabaseProperty(read(binlog_type, data)?),
            BinlogType::MODIFY_TABLE_PROPERTY => Self::ModifyTableProperty(read(binlog_type, data)?),
            BinlogType::BARRIER => Self::Barrier(read(binlog_type, data)?),
            BinlogType::MODIFY_PARTITIONS => Self::ModifyPartitions(read(binlog_type, data)?),
            BinlogType::REPLACE_PARTITIONS => Self::ReplacePartitions(read(binlog_type, data)?),
            BinlogType::TRUNCATE_TABLE => Self::TruncateTable(read(binlog_type, data)?),
            BinlogType::RENAME_TABLE => Self::RenameTable(read(binlog_type, data)?),
            BinlogType::RENAME_COLUMN => Self::RenameColumn(read(binlog_type, data)?),
            BinlogType::MODIFY_COMMENT => Self::ModifyComment(read(binlog_type, data)?),
            BinlogType::MODIFY_VIEW_DEF => Self::ModifyViewDef(read(binlog_type, data)?),
            BinlogType::REPLACE_TABLE => Self::ReplaceTable(read(binlog_type, data)?),
            BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES => {
                Self::ModifyInvertedIndices(read(binlog_type, data)?)
            }
            BinlogType::INDEX_CHANGE_JOB => Self::IndexChangeJob(read(binlog_type, data)?),
            BinlogType::RENAME_ROLLUP => Self::RenameRollup(read(binlog_type, data)?),
            BinlogType::RENAME_PARTITION => Self::RenamePartition(read(binlog_type, data)?),
            BinlogType::DROP_ROLLUP => Self::DropRollup(read(binlog_type, data)?),
            BinlogType::RECOVER_INFO => Self::RecoverInfo(read(binlog_type, data)?),
            BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM => {
                Self::ModifyDistributionBucketNum(read(binlog_type, data)?)
            }
            BinlogType::MODIFY_DISTRIBUTION_TYPE => Self::ModifyDistributionType(read(binlog_type, data)?),
            unknown => Self::Unknown { binlog_type: unknown },
        })
    }

    pub fn binlog_type(&self) -> BinlogType {
        match self {
            Self::Upsert(_) => BinlogType::UPSERT,
            Self::AddPartition(_) => BinlogType::ADD_PARTITION,
            Self::CreateTable(_) => BinlogType::CREATE_TABLE,
            Self::DropPartition(_) => BinlogType::DROP_PARTITION,
            Self::DropTable(_) => BinlogType::DROP_TABLE,
            Self::AlterJob(_) => BinlogType::ALTER_JOB,
            Self::ModifyColumns(_) => BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS,
            Self::Dummy => BinlogType::DUMMY,
            Self::AlterDatabaseProperty(_) => BinlogType::ALTER_DATABASE_PROPERTY,
            Self::ModifyTableProperty(_) => BinlogType::MODIFY_TABLE_PROPERTY,
            Self::Barrier(_) => BinlogType::BARRIER,
            Self::ModifyPartitions(_) => BinlogType::MODIFY_PARTITIONS,
            Self::ReplacePartitions(_) => BinlogType::REPLACE_PARTITIONS,
            Self::TruncateTable(_) => BinlogType::TRUNCATE_TABLE,
            Self::RenameTable(_) => BinlogType::RENAME_TABLE,
            Self::RenameColumn(_) => BinlogType::RENAME_COLUMN,
            Self::ModifyComment(_) => BinlogType::MODIFY_COMMENT,
            Self::ModifyViewDef(_) => BinlogType::MODIFY_VIEW_DEF,
            Self::ReplaceTable(_) => BinlogType::REPLACE_TABLE,
            Self::ModifyInvertedIndices(_) => BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
            Self::IndexChangeJob(_) => BinlogType::INDEX_CHANGE_JOB,
            Self::RenameRollup(_) => BinlogType::RENAME_ROLLUP,
            Self::RenamePartition(_) => BinlogType::RENAME_PARTITION,
            Self::DropRollup(_) => BinlogType::DROP_ROLLUP,
            Self::RecoverInfo(_) => BinlogType::RECOVER_INFO,
            Self::ModifyDistributionBucketNum(_) => BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
            Self::ModifyDistributionType(_) => BinlogType::MODIFY_DISTRIBUTION_TYPE,
            Self::Unknown { binlog_type } => *binlog_type,
        }
    }

    /// The data of the binlog as an FE writes it; none for DUMMY and unknown types.
    pub fn to_json(&self) -> Option<String> {
        Some(match self {
            Self::Upsert(record) => html_safe_json(record),
            Self::AddPartition(record) => html_safe_json(record),
            Self::CreateTable(record) => html_safe_json(record),
            Self::DropPartition(record) => html_safe_json(record),
            Self::DropTable(record) => html_safe_json(record),
            Self::AlterJob(record) => html_safe_json(record),
            Self::ModifyColumns(record) => html_safe_json(record),
            Self::AlterDatabaseProperty(record) => html_safe_json(record),
            Self::ModifyTableProperty(record) => html_safe_json(record),
            Self::Barrier(record) => html_safe_json(record),
            Self::ModifyPartitions(record) => html_safe_json(record),
            Self::ReplacePartitions(record) => html_safe_json(record),
            Self::TruncateTable(record) => html_safe_json(record),
            Self::RenameTable(record)
            | Self::RenameRollup(record)
            | Self::RenamePartition(record)
            | Self::ModifyDistributionType(record) => html_safe_json(record),
            Self::RenameColumn(record) => html_safe_json(record),
            Self::ModifyComment(record) => html_safe_json(record),
            Self::ModifyViewDef(record) => html_safe_json(record),
            Self::ReplaceTable(record) => html_safe_json(record),
            Self::ModifyInvertedIndices(record) => html_safe_json(record),
            Self::IndexChangeJob(record) => html_safe_json(record),
            Self::DropRollup(record) => html_safe_json(record),
            Self::RecoverInfo(record) => html_safe_json(record),
            Self::ModifyDistributionBucketNum(record) => html_safe_json(record),
            Self::Dummy | Self::Unknown { .. } => return None,
        })
    }

    /// The tables the record concerns, ascending and distinct: what the FE lists in `TBinlog.table_ids`.
    /// REPLACE_TABLE lists the original table only.
    pub fn table_ids(&self) -> Vec<i64> {
        match self {
            Self::Upsert(record) => record.table_records.keys().copied().collect(),
            Self::ModifyPartitions(record) => {
                let mut ids: Vec<i64> = record.infos.iter().map(|info| info.table_id).collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
            Self::AddPartition(record) => vec![record.table_id],
            Self::CreateTable(record) => vec![record.table_id],
            Self::DropPartition(record) => vec![record.table_id],
            Self::DropTable(record) => vec![record.table_id],
            Self::AlterJob(record) => vec![record.table_id],
            Self::ModifyColumns(record) => vec![record.table_id],
            Self::ModifyTableProperty(record) => vec![record.table_id],
            Self::Barrier(record) => vec![record.table_id],
            Self::ReplacePartitions(record) => vec![record.table_id],
            Self::TruncateTable(record) => vec![record.table_id],
            Self::RenameTable(record)
            | Self::RenameRollup(record)
            | Self::RenamePartition(record)
            | Self::ModifyDistributionType(record) => vec![record.table_id],
            Self::RenameColumn(record) => vec![record.table_id],
            Self::ModifyComment(record) => vec![record.table_id],
            Self::ModifyViewDef(record) => vec![record.table_id],
            Self::ReplaceTable(record) => vec![record.orig_table_id],
            Self::ModifyInvertedIndices(record) => vec![record.table_id],
            Self::IndexChangeJob(record) => vec![record.table_id],
            Self::DropRollup(record) => vec![record.table_id],
            Self::RecoverInfo(record) => vec![record.table_id],
            Self::ModifyDistributionBucketNum(record) => vec![record.table_id],
            Self::Dummy | Self::AlterDatabaseProperty(_) | Self::Unknown { .. } => Vec::new(),
        }
    }
}

fn read<T: DeserializeOwned>(binlog_type: BinlogType, data: Option<&str>) -> Result<T, RecordError> {
    let data = data.filter(|text| !text.is_empty()).ok_or(RecordError::NoData { binlog_type })?;
    if !data.trim_start().starts_with('{') {
        // A derived reader would take an array as well, its items in the order of the fields.
        let detail = "expected an object at line 1 column 1".to_owned();
        return Err(RecordError::Json { binlog_type, detail });
    }
    serde_json::from_str(data).map_err(|error| RecordError::json(binlog_type, &error))
}
