//! What the service says at start: where it is, where data is kept and how durable, and calls to paste.

use std::net::SocketAddr;

use crate::sample;

/// Prints it.
#[expect(clippy::print_stdout, reason = "for the person at the terminal")]
pub fn print(listen: SocketAddr, ops: Option<SocketAddr>, description: &[String], sampled: bool) {
    println!("{}", text(listen, ops, description, sampled));
}

/// The banner's text.
#[must_use]
pub fn text(listen: SocketAddr, ops: Option<SocketAddr>, description: &[String], sampled: bool) -> String {
    let mut lines = vec![
        format!("coupon {} is ready", env!("CARGO_PKG_VERSION")),
        format!("  grpc     {listen} (plaintext, loopback only, reflection on)"),
        ops.map_or_else(
            || "  ops      off".to_owned(),
            |ops| format!("  ops      http://{ops}/metrics /healthz /readyz"),
        ),
    ];
    lines.extend(description.iter().map(|line| format!("  {line}")));
    if sampled {
        lines.extend(calls(listen));
    } else {
        lines.push(String::new());
        lines.push("See what there is, in another terminal:".to_owned());
        lines.push(format!("  grpcurl -plaintext {listen} coupon.v1.CampaignService/ListCampaigns"));
    }
    lines.join("\n")
}

fn calls(listen: SocketAddr) -> Vec<String> {
    let call = |data: &str, method: &str| format!("  grpcurl -plaintext -d '{data}' {listen} coupon.v1.{method}");
    let live = sample::LIVE;
    vec![
        String::new(),
        format!(
            "Try it in another terminal; the campaign `{live}` has a round each minute. Reserve, wait for the minute to turn, claim:"
        ),
        call(&format!(r#"{{"campaign_id":"{live}","user_id":"eve"}}"#), "CouponService/Reserve"),
        call(&format!(r#"{{"campaign_id":"{live}","user_id":"eve"}}"#), "CouponService/Claim"),
        "Then redeem, with the code that Claim answered:".to_owned(),
        call(
            r#"{"code":"<code>","user_id":"eve","order":{"id":"order-1","amount":{"currency_code":"EUR","units":50}}}"#,
            "CouponService/Redeem",
        ),
        call(r#"{"user_id":"ada"}"#, "CouponService/ListCoupons"),
    ]
}
