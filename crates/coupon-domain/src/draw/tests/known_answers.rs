//! Figures of a program that shares no code with this one.

use super::*;

const SEED_A_FIFTH: &str = "941df1ee5c1dc3a4ef7585a42d7cc56b0e4f9d361057b3b1faa38cf1b990e5b8";

struct Known {
    places: u32,
    root: &'static str,
    key: &'static str,
    winners: u32,
    last_score: Option<&'static str>,
    best: &'static [u32],
    lowest: &'static [u32],
}

const A_FIFTH: [Known; 5] = [
    Known {
        places: 0,
        root: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        key: "7e4cbbbcc141fc12cb979b91ce990a46273390f11f7582e93c5f880a68f9bea3",
        winners: 0,
        last_score: None,
        best: &[],
        lowest: &[],
    },
    Known {
        places: 4,
        root: "26992c6cdc7263e172cfbf6ba2825b29b3c7790f8f432ce606b7620f9fa448c5",
        key: "e2ee96021a37812879d57374c39807822e7f03715a68b1f0da0524c9549d1952",
        winners: 0,
        last_score: None,
        best: &[],
        lowest: &[],
    },
    Known {
        places: 5,
        root: "b02357e3a50f50c1bdd3a688a75399a9351217dc22adaca2b9d74bfa9030298a",
        key: "a6672906b21d950ed4442f33139334a2bf08c2dc883c0c6ac2f2e78ade1799e8",
        winners: 1,
        last_score: Some("51f865926dce2731f8e012bbec04d0a03d5ecebd1205ffb92ddda972016272a3"),
        best: &[2],
        lowest: &[2],
    },
    Known {
        places: 300,
        root: "eade866b4135a3d95fe793a2eeae4d5e9ae73a606bbb6ef2af4e82725df8c318",
        key: "36f3a379308d71597b6c870e33401bcee1a4cbc8561727f20c2928391b50861c",
        winners: 60,
        last_score: Some("2db2a185bfc66cd9c59cee583a2b822ded5bb6c67988dfbeda267428e633f9b7"),
        best: &[50, 267, 194, 85, 243, 82, 180, 299, 62, 232],
        lowest: &[4, 7, 14, 16, 19, 25, 50, 52, 56, 57],
    },
    Known {
        places: 30_000,
        root: "c6d72dbcdaacbb92c35bf98b3bce4fdbebba298a281935a8e37235527fbb1844",
        key: "1c14965eb1197a6a7105d0184bfc447c07d1e2bce29437139049d55eac770341",
        winners: 6000,
        last_score: Some("338d358dec91830b5f780a450adf8cd5b24a5c8b172264177ac05d7612a66cc3"),
        best: &[17520, 27797, 4166, 8377, 9427, 27390, 28826, 24125, 9476, 23962],
        lowest: &[3, 14, 18, 20, 22, 33, 41, 44, 46, 47],
    },
];

#[test]
fn a_draw_of_a_fifth_is_the_one_that_was_worked_out_elsewhere() {
    let params = params(ratio(1, 5, Rounding::Floor), None);
    assert_eq!(params.commit(&seed()).to_string(), SEED_A_FIFTH);
    for known in A_FIFTH {
        let root = root(&leaves(known.places));
        assert_eq!(root.to_string(), known.root);

        let key = DrawKey::of(&seed(), &params, known.places, &root, &[]);
        assert_eq!(key.reveal().to_string(), known.key);
        assert_eq!(params.winners(known.places, 0, None), known.winners);

        let ranking = rank(&key, known.places);
        assert_eq!(ranking.last_score(&key, known.winners).map(|score| score.to_string()).as_deref(), known.last_score);
        for (rank, ticket) in (0..).zip(known.best) {
            assert_eq!(ranking.ranks()[*ticket as usize], rank, "ticket {ticket} of {}", known.places);
        }
        let winning: Vec<u32> = ranking.winning_tickets(known.winners).collect();
        assert_eq!(winning.len(), known.winners as usize);
        assert!(winning.starts_with(known.lowest), "{winning:?}");

        let bitmap = winners_bitmap(ranking.ranks(), known.winners);
        let bit = |ticket: u32| bitmap[(ticket / 8) as usize] & (0x80 >> (ticket % 8)) != 0;
        assert_eq!((0..known.places).filter(|ticket| bit(*ticket)).collect::<Vec<_>>(), winning);
        assert_eq!(bitmap.len(), known.places.div_ceil(8) as usize);
    }
}

#[test]
fn draws_under_other_rules_are_those_that_were_worked_out_elsewhere() {
    let draws = [
        (
            params(Supply::Fixed(10), Some(1000)),
            None,
            "2a982dce4a6d03969345d5e27a0af2e712e9af1e48f1e449adec40dfd8640364",
            "0433a42fcc493c0bbf49b2ea5218131b3a2a06d80532e73374a912a81fde1adc",
            10,
            "0b4bd0fad8b3ab30c7e40c362429068a8da486d376346a7d2498045521d5734b",
        ),
        (
            params(ratio(1, 7, Rounding::Ceil), Some(1000)),
            None,
            "7b79182888ef471032181d81cc504cbb6e6fd2a21cb84831de75b10146d3fa06",
            "5b0dd8d2639a99d0adb259b9bbc54e27649a1250a32584d7cc3a3cf602a9f656",
            43,
            "259afcd7ab9c3c7a10d2347b3a717c1a7f2c950b6d6b1c9c6fc0bcfb13b65d7c",
        ),
        (
            params(ratio(1, 8, Rounding::Nearest), None),
            Some([1, 2, 3].as_slice()),
            "3d6e358a1687e4ca315dae17bc2ad72cb2c01ad36d920ba8c770bd80074fedbb",
            "9be1fed99ba3759129d8730feeb1405b5defa0209f2f5ee0bbadfca285bf2291",
            38,
            "233f00f1f95d68318f7ef601a3925518d11a0c12b36e678a9ba8fdcb9e027bc3",
        ),
    ];
    for (params, drand, commit, key, winners, last_score) in draws {
        let draw = publish(&params, 300, 0, None, drand);
        assert_eq!(draw.commit.to_string(), commit);
        assert_eq!(draw.key.map(|key| key.to_string()).as_deref(), Some(key));
        assert_eq!(draw.winners, Some(winners));
        assert_eq!(draw.last_score.map(|score| score.to_string()).as_deref(), Some(last_score));
    }
}

#[test]
fn there_is_no_last_score_of_nobody_and_of_more_than_the_places() {
    let params = params(Supply::Fixed(10), None);
    let key = DrawKey::of(&seed(), &params, 3, &root(&leaves(3)), &[]);
    let ranking = rank(&key, 3);
    assert_eq!(ranking.last_score(&key, 0), None);
    assert_eq!(ranking.last_score(&key, 4), None);
    assert_eq!(ranking.last_score(&key, 3), (0..3).map(|ticket| key.score(ticket)).max());
}

#[test]
fn a_key_shows_nothing_in_logs() {
    let key = DrawKey::of(&seed(), &params(Supply::Fixed(1), None), 0, &root(&[]), &[]);
    assert_eq!(format!("{key:?}"), "DrawKey(..)");
}
