// The integer types of AssemblyScript, so that tsc can check the files that both compilers share.
declare type u8 = number;
declare type u16 = number;
declare type u32 = number;
declare type i32 = number;
