package storetest

// wholeTests are of what a whole engine has beside messages and KeyPackages.
var wholeTests []test
