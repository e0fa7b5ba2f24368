//! Coupons as lines of a file.

use std::io::Write;

use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat};
use coupon_proto::v1 as pb;

use super::Format;
use crate::cli::json::Json;
use crate::cli::unwritten;

/// The names of the values of a row of CSV. What a coupon is worth is its campaign's benefit, the same for all.
const NAMES: [&str; 10] = [
    "id",
    "campaign_id",
    "round_id",
    "serial",
    "user_id",
    "state",
    "claimed_at",
    "expires_at",
    "redeemed_at",
    "order_id",
];

/// Writes coupons.
pub(super) struct Rows<W: Write> {
    form: Form<W>,
    written: u64,
}

enum Form<W: Write> {
    Ndjson(Json, W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Rows<W> {
    pub(super) fn of(format: Format, out: W) -> anyhow::Result<Self> {
        let form = match format {
            Format::Ndjson => Form::Ndjson(Json::of("Coupon")?, out),
            Format::Csv => {
                let mut rows = csv::Writer::from_writer(out);
                rows.write_record(NAMES).map_err(unwritten_row)?;
                Form::Csv(Box::new(rows))
            }
        };
        Ok(Self { form, written: 0 })
    }

    pub(super) fn write(&mut self, coupons: &[pb::Coupon]) -> anyhow::Result<()> {
        for coupon in coupons {
            match &mut self.form {
                Form::Ndjson(json, out) => writeln!(out, "{}", json.line(coupon)?).map_err(unwritten)?,
                Form::Csv(rows) => rows.write_record(values(coupon)).map_err(unwritten_row)?,
            }
            self.written += 1;
        }
        Ok(())
    }

    /// So many by now.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Answers how many there were.
    pub(super) fn finish(self) -> anyhow::Result<u64> {
        match self.form {
            Form::Ndjson(_, mut out) => out.flush(),
            Form::Csv(mut rows) => rows.flush(),
        }
        .map_err(unwritten)?;
        Ok(self.written)
    }
}

fn unwritten_row(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => unwritten(error),
        other => anyhow!("a coupon cannot be written as a row: {other:?}"),
    }
}

/// In the order of [`NAMES`].
fn values(coupon: &pb::Coupon) -> [String; 10] {
    let state = coupon.state().as_str_name().trim_start_matches("COUPON_STATE_");
    [
        coupon.id.clone(),
        coupon.campaign_id.clone(),
        coupon.round_id.clone(),
        coupon.serial.map(|serial| serial.to_string()).unwrap_or_default(),
        coupon.user_id.clone(),
        state.to_owned(),
        instant(coupon.claimed_at.as_ref()),
        instant(coupon.expires_at.as_ref()),
        instant(coupon.redeemed_at.as_ref()),
        coupon.order_id.clone(),
    ]
}

/// As RFC 3339 in UTC, with microseconds; empty if there is none.
fn instant(at: Option<&prost_types::Timestamp>) -> String {
    let at = at.and_then(|at| DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?));
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coupon() -> pb::Coupon {
        let [id, campaign_id, round_id, user_id, order_id] = ["r-7-0", "c-1", "r-7", "ada", "o-1"].map(str::to_owned);
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 1000 });
        pb::Coupon {
            id,
            campaign_id,
            round_id,
            user_id,
            order_id,
            serial: Some(0),
            state: pb::CouponState::Redeemed.into(),
            claimed_at: at(0),
            expires_at: at(86_400),
            ..pb::Coupon::default()
        }
    }

    fn written(format: Format, coupons: &[pb::Coupon]) -> String {
        let mut file = Vec::new();
        let mut rows = Rows::of(format, &mut file).expect("rows");
        rows.write(coupons).expect("written");
        assert_eq!(rows.finish().expect("finished"), coupons.len() as u64);
        String::from_utf8(file).expect("text")
    }

    #[test]
    fn a_row_of_csv_has_all_but_the_code() {
        let csv = written(Format::Csv, &[pb::Coupon { code: "SECRET".to_owned(), ..coupon() }]);
        let expected = "id,campaign_id,round_id,serial,user_id,state,claimed_at,expires_at,redeemed_at,order_id\n\
            r-7-0,c-1,r-7,0,ada,REDEEMED,1970-01-01T00:00:00.000001Z,1970-01-02T00:00:00.000001Z,,o-1\n";
        assert_eq!(csv, expected);
    }

    #[test]
    fn without_coupons_there_are_the_names() {
        assert_eq!(written(Format::Csv, &[]).trim_end(), NAMES.join(","));
        assert_eq!(written(Format::Ndjson, &[]), "");
    }

    #[test]
    fn each_coupon_is_one_line_of_json() {
        let lines = written(Format::Ndjson, &[coupon(), coupon()]);
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["id"], &lines[0]["state"]), (&"r-7-0".into(), &"COUPON_STATE_REDEEMED".into()));
    }
}
