package main

// japaneseLines are about connections, secrets and keys.
func japaneseLines() []phrase {
	return []phrase{
		{"warning: %s has insecure: true: its line is neither encrypted nor signed, and what somebody changes on the way is not found", "警告: {1} に insecure: true があります。この接続は暗号化も署名もされず、途中で書き換えられても気づけません"},
	}
}
