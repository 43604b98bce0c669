//! Whose a client is where each shall come to one and the same instance: the owner of its address, by rendezvous
//! hashing. Each instance has a rank for each address; the one with the highest rank owns it. So all of them find
//! the same owner without a word between them, an instance that goes gives up its own addresses and no others, and
//! one that comes takes of each an equal part.
//!
//! Decides only; never looks at a page or a descriptor.

use super::Address;

/// What stands for the address of a client: all its connections have the same, whatever their ports, and whether it
/// comes over IPv4 or over IPv4 shown as IPv6. `None`: it has no address.
#[must_use]
pub fn key(client: &Address) -> Option<u64> {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    let hash = |ip: &[u8]| ip.iter().fold(START, |hash, byte| mixed(hash ^ u64::from(*byte)));
    match client.unmapped().unwrap_or(*client) {
        Address::Inet4 { ip, .. } => Some(hash(&ip)),
        Address::Inet6 { ip, .. } => Some(hash(&ip)),
        Address::Unix(_) => None,
    }
}

/// How an instance ranks for an address; two never rank alike.
#[must_use]
pub fn rank(key: u64, instance: usize) -> (u64, usize) {
    (mixed(key ^ mixed(instance as u64 + 1)), instance)
}

/// The owner of an address among these instances, of those that rank below `limit`: whoever comes after one that
/// could not be reached.
#[must_use]
pub fn owner(
    key: u64,
    instances: impl Iterator<Item = usize>,
    limit: Option<(u64, usize)>,
) -> Option<usize> {
    let ranks = instances.map(|instance| rank(key, instance));
    let highest = ranks.filter(|rank| limit.is_none_or(|limit| *rank < limit)).max();
    highest.map(|(_, instance)| instance)
}

/// Every bit of the result depends on every bit of the number (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::handover::UnixName;

    fn client(number: u32) -> u64 {
        let ip = (0x0a00_0000 | number).to_be_bytes();
        key(&Address::Inet4 { ip, port: 40_000 }).unwrap()
    }

    #[test]
    fn an_address_is_known_whatever_its_port_and_form() {
        let address = |port| Address::Inet4 { ip: [10, 1, 2, 3], port };
        assert_eq!(key(&address(1)), key(&address(2)));
        assert_eq!(key(&address(1)), key(&address(1).mapped().unwrap()));
        assert_ne!(client(1), client(2));
        assert_eq!(key(&Address::Unix(UnixName::of_path(b"/run/x").unwrap())), None);
    }

    #[test]
    fn addresses_are_shared_out_equally() {
        let mut counts = [0; 4];
        (0..4000).for_each(|number| counts[owner(client(number), 0..4, None).unwrap()] += 1);
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn only_clients_of_the_one_that_goes_move() {
        for number in 0..1000 {
            let before = owner(client(number), 0..4, None).unwrap();
            let after = owner(client(number), [0, 1, 3].into_iter(), None).unwrap();
            assert!(before == after || before == 2, "{number}");
            // The one that comes next takes them, whether the first has gone or cannot be reached.
            let next = owner(client(number), 0..4, Some(rank(client(number), before))).unwrap();
            assert!(next == after || before != 2, "{number}");
        }
    }

    #[test]
    fn nobody_owns_anything_where_there_is_nobody() {
        assert_eq!(owner(client(1), core::iter::empty(), None), None);
        let mut limit = None;
        for left in (0..4).rev() {
            let next = owner(client(1), 0..4, limit).unwrap();
            limit = Some(rank(client(1), next));
            assert_eq!(owner(client(1), 0..4, limit).is_some(), left > 0);
        }
    }
}
