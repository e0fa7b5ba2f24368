//! The hash tree over a round's leaves: RFC 6962, section 2.1, whose leaf hashes are those of [`leaf`](super::leaf).
//!
//! Every 256 leaves from a multiple of 256 on are a subtree of their own, a block. With the blocks' roots kept, the proof of a place
//! needs only the leaves of its own block.

use super::Hash;

const BLOCK_LEVEL: u32 = 8;

/// Leaves of a block; only the last one of a tree may have fewer.
pub const BLOCK: u32 = 1 << BLOCK_LEVEL;

/// `H(0x01 || left || right)`, the inner node of RFC 6962.
fn node(left: Hash, right: Hash) -> Hash {
    Hash::of(&[&[0x01], left.as_bytes(), right.as_bytes()])
}

/// Builds a tree from its leaves in order, keeping one hash a level beside the blocks' roots.
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    size: u32,
    /// The roots of the full subtrees that `size` is the sum of, one for each of its one-bits, the largest first.
    peaks: Vec<Hash>,
    blocks: Vec<Hash>,
}

/// What is kept of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The root over all leaves; SHA-256 of nothing for a tree without leaves.
    pub root: Hash,
    /// How many leaves it has.
    pub size: u32,
    /// The roots of its blocks in order, the last one perhaps of fewer than [`BLOCK`] leaves.
    pub blocks: Vec<Hash>,
}

impl TreeBuilder {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Adding one to `size` carries over its trailing one-bits: each is a peak that now has a sister.
        for level in 1..=self.size.trailing_ones() {
            hash = self.peaks.pop().map_or(hash, |left| node(left, hash));
            if level == BLOCK_LEVEL {
                self.blocks.push(hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root over the leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.peaks).unwrap_or_else(|| Hash::of(&[]))
    }

    /// The tree over all that was added.
    #[must_use]
    pub fn finish(self) -> Tree {
        let root = self.root();
        let mut blocks = self.blocks;
        let peaks_of_last_block = (self.size % BLOCK).count_ones() as usize;
        blocks.extend(join(&self.peaks[self.peaks.len() - peaks_of_last_block..]));
        Tree { root, size: self.size, blocks }
    }
}

impl Extend<Hash> for TreeBuilder {
    fn extend<I: IntoIterator<Item = Hash>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}

impl FromIterator<Hash> for TreeBuilder {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut builder = Self::default();
        builder.extend(leaves);
        builder
    }
}

/// One hash over peaks, the smallest joined first.
fn join(peaks: &[Hash]) -> Option<Hash> {
    peaks.iter().copied().rev().reduce(|right, left| node(left, right))
}

/// The root over these leaves, or over the roots of blocks.
fn root_over(nodes: &[Hash]) -> Hash {
    nodes.iter().copied().collect::<TreeBuilder>().root()
}

/// The audit path of a ticket, bottom up, from all leaves; `None` if there is no such ticket.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], ticket: u32) -> Option<Vec<Hash>> {
    let mut path = Vec::new();
    audit_path(leaves, ticket as usize, &mut path)?;
    Some(path)
}

/// The same audit path from the roots of all blocks and the leaves of the block that holds the ticket, which is number
/// `ticket / BLOCK`; `None` if there is no such ticket, or the leaves are not those of its block.
#[must_use]
pub fn inclusion_proof_by_block(blocks: &[Hash], block: &[Hash], ticket: u32) -> Option<Vec<Hash>> {
    let number = (ticket / BLOCK) as usize;
    if *blocks.get(number)? != root_over(block) {
        return None;
    }
    let mut path = inclusion_proof(block, ticket % BLOCK)?;
    audit_path(blocks, number, &mut path)?;
    Some(path)
}

/// `PATH(m, D[n])` of RFC 6962, section 2.1.1.
fn audit_path(nodes: &[Hash], index: usize, path: &mut Vec<Hash>) -> Option<()> {
    if nodes.len() <= 1 {
        return (index < nodes.len()).then_some(());
    }
    // The largest power of two below n.
    let (left, right) = nodes.split_at(nodes.len().next_power_of_two() / 2);
    match index.checked_sub(left.len()) {
        None => {
            audit_path(left, index, path)?;
            path.push(root_over(right));
        }
        Some(index) => {
            audit_path(right, index, path)?;
            path.push(root_over(left));
        }
    }
    Some(())
}

/// Whether a proof shows that `leaf` has this index in the tree of this size and root: the algorithm of RFC 9162, section 2.1.3.2.
#[must_use]
pub fn verify_inclusion(root: &Hash, size: u32, index: u32, leaf: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    // `at` is the node on the way up, `last` the rightmost one of its level.
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sister in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(*sister, hash);
            // A rightmost node without a sister rises unchanged.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(hash, *sister);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `MTH(D[n])` as RFC 6962, section 2.1 writes it.
    fn tree_hash(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(&[]),
            [leaf] => *leaf,
            _ => {
                let mut k = 1;
                while 2 * k < leaves.len() {
                    k *= 2;
                }
                node(tree_hash(&leaves[..k]), tree_hash(&leaves[k..]))
            }
        }
    }

    fn leaves(size: u32) -> Vec<Hash> {
        (0..size).map(|t| Hash::of(&[&t.to_be_bytes()])).collect()
    }

    fn tree(leaves: &[Hash]) -> Tree {
        leaves.iter().copied().collect::<TreeBuilder>().finish()
    }

    /// The block that holds a ticket.
    fn block_of(leaves: &[Hash], ticket: u32) -> &[Hash] {
        leaves.chunks(256).nth(ticket as usize / 256).expect("the ticket is in the tree")
    }

    #[test]
    fn the_roots_are_those_of_the_reference_tests_of_certificate_transparency() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut builder = TreeBuilder::default();
        for (input, root) in inputs.into_iter().zip(roots) {
            builder.push(Hash::of(&[&[0x00], input]));
            assert_eq!(builder.root().to_string(), root);
        }
    }

    #[test]
    fn root_and_blocks_are_the_tree_hashes_at_every_size_around_a_block() {
        let all = leaves(770);
        for size in (0..5).chain(254..259).chain(510..=770) {
            let leaves = &all[..size as usize];
            let blocks = leaves.chunks(256).map(tree_hash).collect();
            assert_eq!(tree(leaves), Tree { root: tree_hash(leaves), size, blocks }, "{size}");
        }
    }

    #[test]
    fn a_ticket_outside_the_tree_and_leaves_of_another_block_have_no_proof() {
        let leaves = leaves(300);
        let blocks = tree(&leaves).blocks;
        assert_eq!(inclusion_proof(&[], 0), None);
        assert_eq!(inclusion_proof(&leaves, 300), None);
        assert_eq!(inclusion_proof(&leaves, u32::MAX), None);
        assert_eq!(inclusion_proof_by_block(&blocks, block_of(&leaves, 299), 300), None);
        assert_eq!(inclusion_proof_by_block(&blocks, block_of(&leaves, 299), 512), None);
        assert_eq!(inclusion_proof_by_block(&blocks, block_of(&leaves, 0), 299), None);
        assert_eq!(inclusion_proof_by_block(&blocks, &leaves[..255], 0), None);
    }

    /// The seven leaves and their inner nodes, named as in RFC 6962, section 2.1.3.
    #[test]
    fn the_audit_paths_are_those_of_the_example_of_rfc_6962() {
        let leaves = leaves(7);
        let [a, b, c, d, e, f, j] = leaves[..] else { panic!("seven leaves") };
        let (g, h, i) = (node(a, b), node(c, d), node(e, f));
        let (k, l) = (node(g, h), node(i, j));
        let path = |ticket| inclusion_proof(&leaves, ticket).expect("the ticket is in the tree");
        assert_eq!(path(0), [b, h, l]);
        assert_eq!(path(3), [c, g, l]);
        assert_eq!(path(4), [f, j, k]);
        assert_eq!(path(6), [i, k]);
        assert_eq!(tree(&leaves).root, node(k, l));
    }

    #[test]
    fn the_last_leaf_of_a_tree_is_not_the_only_one_of_a_smaller_tree() {
        let [a, b] = leaves(2)[..] else { panic!("two leaves") };
        assert!(verify_inclusion(&node(a, b), 2, 1, &b, &[a]));
        assert!(!verify_inclusion(&node(a, b), 1, 0, &b, &[a]));
    }

    fn a_size_and_a_ticket() -> impl Strategy<Value = (u32, u32)> {
        prop_oneof![1u32..=20, 1u32..=1500, Just(BLOCK), Just(2 * BLOCK), Just(1024)]
            .prop_flat_map(|size| (Just(size), 0..size))
    }

    proptest! {
        #[test]
        fn both_ways_to_prove_agree_and_the_proof_verifies((size, ticket) in a_size_and_a_ticket()) {
            let leaves = leaves(size);
            let Tree { root, blocks, .. } = tree(&leaves);
            let proof = inclusion_proof(&leaves, ticket).expect("the ticket is in the tree");
            prop_assert!(verify_inclusion(&root, size, ticket, &leaves[ticket as usize], &proof));
            prop_assert_eq!(inclusion_proof_by_block(&blocks, block_of(&leaves, ticket), ticket), Some(proof));
        }

        #[test]
        fn a_proof_holds_for_nothing_else((size, ticket) in a_size_and_a_ticket(), other: u32, at: prop::sample::Index, bit in 0usize..256) {
            let leaves = leaves(size);
            let root = tree(&leaves).root;
            let leaf = leaves[ticket as usize];
            let proof = inclusion_proof(&leaves, ticket).expect("the ticket is in the tree");

            for wrong in [other % size, ticket ^ 1, ticket.wrapping_sub(1), size, other].into_iter().filter(|wrong| *wrong != ticket) {
                prop_assert!(!verify_inclusion(&root, size, wrong, &leaf, &proof), "index {}", wrong);
            }
            let flipped = |hash: &Hash| {
                let mut bytes = *hash.as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                Hash::from(bytes)
            };
            prop_assert!(!verify_inclusion(&root, size, ticket, &flipped(&leaf), &proof));
            prop_assert!(!verify_inclusion(&flipped(&root), size, ticket, &leaf, &proof));
            prop_assert!(!verify_inclusion(&root, 0, ticket, &leaf, &proof));

            let longer = [proof.as_slice(), &[leaf]].concat();
            prop_assert!(!verify_inclusion(&root, size, ticket, &leaf, &longer));
            if !proof.is_empty() {
                prop_assert!(!verify_inclusion(&root, size, ticket, &leaf, &proof[1..]));
                prop_assert!(!verify_inclusion(&root, size, ticket, &leaf, &proof[..proof.len() - 1]));
                let mut changed = proof.clone();
                let at = at.index(proof.len());
                changed[at] = flipped(&proof[at]);
                prop_assert!(!verify_inclusion(&root, size, ticket, &leaf, &changed));
            }
        }

        /// A path has the shape of its tree: a size that gives the ticket a path of another length refuses the proof.
        #[test]
        fn a_proof_for_another_size_fails((size, ticket) in a_size_and_a_ticket(), other in 1u32..=1500) {
            let leaves = leaves(size);
            let root = tree(&leaves).root;
            let proof = inclusion_proof(&leaves, ticket).expect("the ticket is in the tree");
            let shape = |size| inclusion_proof(&super::tests::leaves(size), ticket).map(|path| path.len());
            if shape(other) != Some(proof.len()) {
                prop_assert!(!verify_inclusion(&root, other, ticket, &leaves[ticket as usize], &proof));
            }
        }
    }
}
