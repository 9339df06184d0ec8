//! stub
use std::ptr::NonNull;
use std::alloc::{Layout,alloc,dealloc};
pub fn allocate(size: usize) -> NonNull<u8> { NonNull::new(unsafe{alloc(Layout::from_size_align(size,64).unwrap())}).unwrap() }
pub unsafe fn free(b: NonNull<u8>, size: usize) { unsafe{dealloc(b.as_ptr(), Layout::from_size_align(size,64).unwrap())} }
pub fn class_size(size: usize) -> usize { (size+7)&!7 }
pub fn allocated_bytes() -> usize { 0 }
