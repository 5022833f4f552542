// Package nights holds the program to its promises on real servers and a real port: its
// tests run the built airlock in the lab of package lab, and compare what it says with
// what a sampler outside of it saw.
package nights
